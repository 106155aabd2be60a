# Reads the output of `go test -v` for any number of packages. It prints one line for a
# package that passes and the whole output of one that fails. At the end it lists the tests
# that failed, with the first and the last lines of what each has logged, and counts the
# tests, subtests included. The reasons of skipped tests go to the file that `reasons`
# names, except for tests that -short skips. With `live`, it prints each line at once instead.

# flush_package prints the output of a package, without the tests that passed silently.
function flush_package(    i, run) {
	for (i = 1; i <= n; i++) {
		if (lines[i] ~ /^=== RUN /) run = lines[i] "\n"
		else if (lines[i] !~ /^=== (PAUSE|CONT|NAME) |^ *--- PASS: /) { printf "%s%s\n", run, lines[i]; run = "" }
	}
	n = 0
}

# keep remembers what the running test has logged. The logs of servers are left out: their lines begin with the time.
function keep() { logged[test, ++kept[test]] = $0 }

# logged_by returns the first 10 and the last 20 lines that a test has logged.
function logged_by(name,    i, text) {
	for (i = 1; i <= kept[name]; i++) {
		if (i <= 10 || i > kept[name] - 20) text = text logged[name, i] "\n"
		else if (i == 11) text = text "        [...]\n"
	}
	return text
}

# forget_logs forgets what the tests of a package have logged.
function forget_logs() { delete kept; delete logged; in_log = 0 }

{
	if (live) { print; fflush() }
	else lines[++n] = $0
}

/^=== (RUN|CONT|NAME) /       { test = $3; in_log = 0 }
/^    [a-z0-9_]+\.go:[0-9]+: / { in_log = 1; keep() }
in_log && /^        / && !/^ +(time=|---|(raft)?20[0-9][0-9][-\/][0-9][0-9])/ { keep() }

/^ *--- PASS: / { passed++ }
/^ *--- FAIL: / { failures[++failed] = $3 "\n" logged_by($3) }

# A test says why it skips: "left out: WHY" where this machine lacks something, "long test" with -short.
match($0, /left out: /) { why = substr($0, RSTART + RLENGTH) }
/: long test$/          { why = "long test" }
/^ *--- SKIP: / {
	skipped++
	if (why == "") why = $3 ", which does not say why it skips"
	if (why != "long test") print why > reasons
	why = ""
}

# The last line of a package.
/^ok  \t/               { if (!live) print; n = 0; forget_logs(); fflush(); next }
/^\?   \t/              { n = 0; next }
/^\t.*coverage: /       { n = 0; next }
/^FAIL\t/               { bad = 1; flush_package(); forget_logs(); fflush(); next }

END {
	flush_package() # output of no package, as when a module does not load
	if (failed) print "\nFailed:"
	for (i = 1; i <= failed; i++) printf "- %s", failures[i]
	printf "\n%d passed, %d failed", passed, failed
	if (skipped) printf ", %d skipped", skipped
	print ""
	exit (bad || failed)
}
