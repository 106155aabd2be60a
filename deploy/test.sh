#!/usr/bin/env bash
# Runs the tests of all modules:
#
#   deploy/test.sh short   what `make test` runs: all tests that are quick
#   deploy/test.sh all     what `make test-all` and CI run: all tests, with the race detector
#                          except where they drive programs
#
# Packages and flags of go test may follow: deploy/test.sh all -run TestCluster ./deploy/e2e
# The output of packages that fail is shown at their end; the last lines count the tests and
# say which were not run.
# With LIVE=1, everything is shown at once, also what tests log that pass.
# With CI=true, `all` fails if it cannot run a test.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

mode=${1:-}
short=-short=false race=-race=false
case $mode in
short) short=-short ;;
all) race=-race ;;
*)
	echo 'usage: deploy/test.sh short|all [PACKAGE | FLAG of go test]...' >&2
	exit 2
	;;
esac
shift

not_run=()
export CGO_ENABLED=0
if [ "$mode" = all ]; then
	if echo 'int main(void) { return 0; }' | $(go env CC) -x c -o /dev/null - 2>/dev/null; then
		CGO_ENABLED=1
	else
		race=-race=false
		not_run+=('the race detector, which needs a C compiler')
	fi
fi

# drives reports whether the tests of a package drive programs. They gain little from the race detector: the code of the
# programs has tests of its own.
drives() {
	case $1 in
	*/deploy/e2e | */deploy/e2e/* | */deploy/bench | */deploy/kubernetes | */cmd/*server) ;;
	*) return 1 ;;
	esac
}

driving=() others=()
while IFS= read -r package; do
	if drives "$package"; then driving+=("$package"); else others+=("$package"); fi
done < <(go list -m -f '{{.Dir}}/...' | xargs go list)

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
CGO_ENABLED=0 go build -o "$temporary/" ./shared/postgrestest/cmd/withpostgres || exit 1
if [ -z "${HALLPASS_BIN:-}" ] && [ -x bin/authserver ]; then export HALLPASS_BIN=$PWD/bin; fi

# The flags of go test:
#
# -vet=off: `make lint` runs go vet.
# -count=1: go test caches results by the code of a package, and does not know that a
# test runs the programs in HALLPASS_BIN.
# -parallel 4: many tests wait for a process.
# -timeout: only for a test that hangs. A slow machine needs more than ten times the usual.
flags=(-v -vet=off -count=1 -parallel=4 -timeout=3h "$short")

# run runs go test with a PostgreSQL server. Flags and packages may follow.
run() { "$temporary/withpostgres" go test "${flags[@]}" "$@"; }

# run_all runs the tests of all packages. Those that drive programs mostly wait: they run beside the others, one package
# at a time, and with a higher priority, because programs have timeouts. Their output comes last.
run_all() {
	local status=0
	set -m # a process group of its own, so that it can be stopped as a whole
	CGO_ENABLED=0 run -p=1 "$@" "${driving[@]}" >"$temporary/driving" 2>&1 &
	set +m
	trap 'kill -INT -- "-$!"' INT TERM HUP
	nice -n 5 "$temporary/withpostgres" go test "${flags[@]}" "$race" "$@" "${others[@]}" || status=$?
	wait $! || status=$?
	cat "$temporary/driving"
	return $status
}

named=0 only_driving=1
for argument in "$@"; do
	case $argument in ./* | /* | github.com/*) ;; *) continue ;; esac
	named=1
	drives "$argument" || only_driving=0
done
if [ $named = 1 ] && [ $only_driving = 1 ]; then
	CGO_ENABLED=0 run "$@"
elif [ $named = 1 ]; then
	run "$race" "$@"
else
	run_all "$@"
fi | awk -v reasons="$temporary/reasons" -v live="${LIVE:-}" -f deploy/test.awk
status=$?

touch "$temporary/reasons"
while IFS= read -r reason; do not_run+=("$reason"); done < <(sort -u "$temporary/reasons")
if [ ${#not_run[@]} -gt 0 ]; then
	printf '\nNot run, because something is not installed:\n'
	printf -- '- %s\n' "${not_run[@]}"
	echo 'To install it: make test-deps'
	if [ "${CI:-}" = true ] && [ "$mode" = all ]; then
		echo 'CI=true: this is a failure.'
		status=1
	fi
fi
[ "$mode" = all ] || printf '\nThe rest: make test-all\n'
exit $status
