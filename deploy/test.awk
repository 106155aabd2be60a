# Reads the output of `go test -v` of any number of packages. Packages that pass are
# shown as one line, those that fail whole; the last line counts the tests, subtests
# included. Why a test was skipped goes to the file that `reasons` names.

# flush_package prints what a package wrote, without the tests that had nothing to say.
function flush_package(    i, run) {
	for (i = 1; i <= n; i++) {
		if (lines[i] ~ /^=== RUN /) run = lines[i] "\n"
		else if (lines[i] !~ /^=== (PAUSE|CONT|NAME) |^ *--- PASS: /) { printf "%s%s\n", run, lines[i]; run = "" }
	}
	n = 0
}

{ lines[++n] = $0 }

/^ *--- PASS: / { passed++ }
/^ *--- FAIL: / { failures[++failed] = $3 }

# A test that this machine cannot run says "left out: WHY" before it skips.
match($0, /left out: /) { why = substr($0, RSTART + RLENGTH) }
/^ *--- SKIP: / {
	skipped++
	print (why ? why : $3 ", which does not say why it skips") > reasons
	why = ""
}

# The last line of a package.
/^ok  \t/               { print; n = 0; fflush(); next }
/^\?   \t/              { n = 0; next }
/^\t.*coverage: /       { n = 0; next }
/^FAIL\t/               { bad = 1; flush_package(); fflush(); next }

END {
	flush_package() # what belongs to no package, as when a module does not load
	if (failed) print "\nFailed:"
	for (i = 1; i <= failed; i++) print "- " failures[i]
	printf "\n%d passed, %d failed", passed, failed
	if (skipped) printf ", %d skipped", skipped
	print ""
	exit (bad || failed)
}
