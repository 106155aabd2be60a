#!/usr/bin/env bash
# Checks the code of all modules. It runs all checks even if one has findings. If the
# vulnerability database cannot be reached, it says so and does not fail.
set -u
cd "$(dirname "$0")/../.." || exit 1

status=0
failed() {
	status=1
	echo "FAILED: $1" >&2
}

dirs=() packages=()
while IFS= read -r dir; do
	dirs+=("$dir")
	packages+=("$dir/...")
done < <(go list -m -f '{{.Dir}}')

# Each module must also build without the workspace, as image builds and other people's programs do.
echo 'go mod tidy'
for dir in "${dirs[@]}"; do
	(cd "$dir" && GOWORK=off go mod tidy -diff) || failed "go mod tidy: run it in $dir with GOWORK=off"
done

echo 'gofmt'
unformatted=$(gofmt -l -s "${dirs[@]}")
if [ -n "$unformatted" ]; then
	echo "$unformatted"
	failed 'gofmt: run gofmt -s -w on these files'
fi

# check_words LIST PATHSPEC... looks for words that make our English hard to read.
check_words() {
	git grep -nIiwE -f "$1" -- "${@:2}"
	case $? in
	0) failed 'words: these lines have words of deploy/lint/words.txt' ;;
	1) ;;
	*) echo 'Not checked: this needs git and a git work tree.' ;;
	esac
}

echo 'words'
check_words deploy/lint/words.txt . ':!deploy/lint/words.txt' ':!LICENSE' ':!*.py'
check_words <(grep -v '^is ' deploy/lint/words.txt) '*.py' # Python compares with None in these words

echo 'go vet'
go vet "${packages[@]}" || failed 'go vet'

echo 'golangci-lint'
bin/lint/golangci-lint run --allow-parallel-runners "${packages[@]}" || failed 'golangci-lint'

# revive checks comments already, so ST1000 and the other rules for them are off.
echo 'staticcheck'
bin/lint/staticcheck -checks 'all,-ST1000,-ST1020,-ST1021,-ST1022' "${packages[@]}" || failed 'staticcheck'

echo 'licences'
for program in authserver resourceserver; do
	(cd $program && GOWORK=off "../deploy/release/licences.sh" "./cmd/$program") || failed "licences of $program"
	(cd $program && GOWORK=off go mod verify) || failed "go mod verify in $program"
done

echo 'govulncheck'
bin=$PWD/bin/lint
for dir in "${dirs[@]}"; do
	output=$(cd "$dir" && "$bin/govulncheck" ./... 2>&1) && continue
	case $output in
	*'govulncheck: fetching vulnerabilities: '*)
		echo 'Not checked: the vulnerability database, https://vuln.go.dev, cannot be reached.'
		break
		;;
	esac
	echo "$output"
	failed "govulncheck in $dir"
done

[ $status -ne 0 ] || echo 'No findings.'
exit $status
