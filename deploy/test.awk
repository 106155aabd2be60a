# Reads the output of `go test -v` of any number of packages. Packages that pass are
# shown as one line, those that fail whole; the last line counts the tests, subtests
# included. Why a test was skipped goes to the file that `reasons` names.

function flush_package() {
	for (i = 1; i <= n; i++) print lines[i]
	n = 0
}

{ lines[++n] = $0 }

/^ *--- PASS: / { passed++ }
/^ *--- FAIL: / { failed++ }

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
	printf "\n%d passed, %d failed", passed, failed
	if (skipped) printf ", %d skipped", skipped
	print ""
	exit (bad || failed)
}
