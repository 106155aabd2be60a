#!/usr/bin/env bash
# Checks the licences of all modules in a program, which the current folder has the module of:
#
#   deploy/release/licences.sh ./cmd/authserver
#
# It recognizes the licences of licences.txt by a sentence of each, and fails for a module with another one or none.
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
status=0
count=0

# licence prints the name of the licence whose sentence a text has.
licence() {
	local name sentence text
	text=$(tr -s ' \n\t\r' ' ' <"$1")
	while IFS='|' read -r name sentence; do
		case $name in '#'* | '') continue ;; esac
		if [[ $text == *"$sentence"* ]]; then
			echo "$name"
			return
		fi
	done <"$here/licences.txt"
	return 1
}

while IFS=' ' read -r module folder; do
	found=
	for file in "$folder"/{LICENSE,LICENCE,COPYING,License}{,.txt,.md,-MIT}; do
		if [ -f "$file" ] && found=$(licence "$file"); then break; fi
	done
	count=$((count + 1))
	if [ -z "$found" ]; then
		echo "$module: its licence is not in deploy/release/licences.txt, or it has none: $folder" >&2
		status=1
	fi
done < <(go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' "$1" |
	grep -v '^github\.com/hallpass-auth/hallpass/' | sort -u)
[ $status -ne 0 ] || echo "All $count modules have a licence of the list."
exit $status
