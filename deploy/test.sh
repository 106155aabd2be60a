#!/usr/bin/env bash
# Runs every test of every module, shows the output of the packages that failed, and
# ends with a count and with what this machine left out. With CI=true nothing may be
# left out. Packages or flags for go test may be given: deploy/test.sh ./shared/...
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
[ -z "${HALLPASS_BIN:-}" ] && [ -x bin/authserver ] && export HALLPASS_BIN=$PWD/bin

left_out=()
race=-race
if echo 'int main(void) { return 0; }' | $(go env CC) -x c -o /dev/null - 2>/dev/null; then
	export CGO_ENABLED=1 # the race detector needs it
else
	race=''
	left_out+=('the race detector, which needs a C compiler')
fi

# With no arguments, all modules of the workspace.
if [ $# -eq 0 ]; then
	while IFS= read -r dir; do set -- "$@" "$dir/..."; done < <(go list -m -f '{{.Dir}}')
fi

# -count=1: the tests that run the built programs must not be answered from a cache
# that does not know them.
reasons=$(mktemp)
trap 'rm -f "$reasons"' EXIT
# The whole-system tests take minutes; ten would be too few on a busy machine.
go test -v -count=1 -timeout=40m $race "$@" | awk -v reasons="$reasons" -f deploy/test.awk
status=$?

while IFS= read -r reason; do left_out+=("$reason"); done < <(sort -u "$reasons")
if [ ${#left_out[@]} -gt 0 ]; then
	printf '\nLeft out on this machine:\n'
	printf -- '- %s\n' "${left_out[@]}"
	echo 'This installs what they need: make test-deps'
	if [ "${CI:-}" = true ]; then
		echo 'With CI=true nothing may be left out.'
		exit 1
	fi
fi
exit $status
