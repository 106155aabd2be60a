#!/usr/bin/env bash
# Fuzzes the parsers that strangers reach, one target after the other, and fails at the end if one failed:
#
#   deploy/fuzz.sh                      all targets of all modules
#   deploy/fuzz.sh FuzzToken FuzzCookie only these
#   deploy/fuzz.sh -list                prints the package and the name of each, and fuzzes nothing
#
# FUZZTIME is how long each takes: 1m by default. An input that fails is written to testdata/fuzz of its package. Fix
# what it found and commit it: `go test` tries it from then on.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

# list prints the folder and the name of each target.
list() {
	go list -m -f '{{.Dir}}' | while IFS= read -r module; do
		grep -rl --include='*_test.go' --exclude-dir=testdata --exclude-dir=node_modules '^func Fuzz' "$module" || true
	done | sort -u | while IFS= read -r file; do
		sed -n "s#^func \(Fuzz[A-Za-z0-9_]*\)(.*#.${file#"$PWD"} \1#p" "$file"
	done | sed -E 's#/[^/]*_test\.go # #' | sort -u
}

if [ "${1:-}" = -list ]; then
	list
	exit
fi

failed=() found=0
while IFS=' ' read -r package target; do
	if [ $# -gt 0 ] && [[ " $* " != *" $target "* ]]; then continue; fi
	found=$((found + 1))
	echo "$package $target"
	output=$(go test -vet=off -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-1m}" "$package" 2>&1)
	status=$?
	# On a busy machine, go test also fails if the time is over before it has tried the seeds.
	if [ $status -ne 0 ] && ! grep -q 'Failing input written' <<<"$output" &&
		grep -qx ' *context deadline exceeded' <<<"$output"; then
		echo "Not fuzzed: the seeds alone took longer than FUZZTIME=${FUZZTIME:-1m}."
		continue
	fi
	if [ $status -ne 0 ]; then
		echo "$output"
		input=$(sed -n 's/.*Failing input written to //p' <<<"$output" | head -n 1)
		failed+=("$target in $package: ${input:+$package/}${input:-see its output above}")
		continue
	fi
	grep -E '^fuzz: elapsed' <<<"$output" | tail -n 1
done < <(list)

if [ $found = 0 ]; then
	echo 'No fuzz target has this name: deploy/fuzz.sh -list' >&2
	exit 2
fi
printf '\n%d targets\n' $found
if [ ${#failed[@]} -gt 0 ]; then
	echo 'Failed:'
	printf -- '- %s\n' "${failed[@]}"
	exit 1
fi
