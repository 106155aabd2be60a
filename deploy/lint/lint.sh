#!/usr/bin/env bash
# Checks the code of every module and goes on to the end, so that one run shows all
# findings. A vulnerability database that cannot be reached is said and is no
# failure; a vulnerability that is found is one.
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

echo 'gofmt'
unformatted=$(gofmt -l -s "${dirs[@]}")
if [ -n "$unformatted" ]; then
	echo "$unformatted"
	failed 'gofmt: run gofmt -s -w on these files'
fi

echo 'go vet'
go vet "${packages[@]}" || failed 'go vet'

echo 'golangci-lint'
bin/lint/golangci-lint run "${packages[@]}" || failed 'golangci-lint'

# ST1000 and the comment rules are asked by revive already.
echo 'staticcheck'
bin/lint/staticcheck -checks 'all,-ST1000,-ST1020,-ST1021,-ST1022' "${packages[@]}" || failed 'staticcheck'

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
