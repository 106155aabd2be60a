package process

import (
	"testing"
	"time"
)

// The fields of proc_pid_stat(5) are found behind any program name.
func TestCPUTime(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 1 0 100 1000 10\n"
	for _, name := range []string{"(cat)", "(a b) c)", "(()"} {
		got, err := cpuTime([]byte("12 " + name + rest))
		if err != nil || got != 1750*time.Millisecond {
			t.Errorf("%s: %v, %v; not 1.75s", name, got, err)
		}
	}
	for _, bad := range []string{"", "12 (cat) S 1 2", "12 (cat) S 1 2 3 4 5 6 7 8 9 10 x 25 0 0", "12 (cat) S 1 2 3 4 5 6 7 8 9 10 -1 25 0 0"} {
		if got, err := cpuTime([]byte(bad)); err == nil {
			t.Errorf("%q: %v and no error", bad, got)
		}
	}
}

func TestMemoryOfStatus(t *testing.T) {
	got, err := memory([]byte("Name:\tcat\nVmHWM:\t    9999 kB\nVmRSS:\t    1712 kB\nRssAnon:\t     116 kB\nRssFile:\t    1596 kB\n"))
	if want := (Memory{Resident: 1712 << 10, Anonymous: 116 << 10}); err != nil || got != want {
		t.Errorf("%v, %v; not %v", got, err, want)
	}
	for _, bad := range []string{"", "VmRSS:\t1 kB\n", "VmRSS:\t1 kB\nRssAnon:\tx kB\n", "VmRSS:\t1 kB\nRssAnon:\t1 MB\n"} {
		if got, err := memory([]byte(bad)); err == nil {
			t.Errorf("%q: %v and no error", bad, got)
		}
	}
}
