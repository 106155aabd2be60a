package program

import (
	"testing"
	"testing/fstest"
)

func TestCPULimitIsTheLowestOfTheControlGroups(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for _, tt := range []struct {
		name string
		root fstest.MapFS
		want int
	}{
		{"a container with version 2", fstest.MapFS{
			"proc/self/cgroup":      file("0::/\n"),
			"sys/fs/cgroup/cpu.max": file("100000 100000\n"),
		}, 1},
		{"less than one", fstest.MapFS{
			"proc/self/cgroup":      file("0::/\n"),
			"sys/fs/cgroup/cpu.max": file("25000 100000\n"),
		}, 1},
		{"a fraction", fstest.MapFS{
			"proc/self/cgroup":      file("0::/\n"),
			"sys/fs/cgroup/cpu.max": file("250000 100000\n"),
		}, 2},
		{"a service in a slice with a lower limit", fstest.MapFS{
			"proc/self/cgroup": file("0::/system.slice/hallpass.service\n"),
			"sys/fs/cgroup/system.slice/hallpass.service/cpu.max": file("max 100000\n"),
			"sys/fs/cgroup/system.slice/cpu.max":                  file("300000 100000\n"),
		}, 3},
		{"version 1, in a container that sees its own group as the root", fstest.MapFS{
			"proc/self/cgroup":                    file("9:cpu,cpuacct:/docker/1\n5:memory:/docker/1\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":  file("200000\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": file("100000\n"),
		}, 2},
		{"no limit in version 1", fstest.MapFS{
			"proc/self/cgroup":                    file("9:cpu,cpuacct:/\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":  file("-1\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": file("100000\n"),
		}, 1 << 20},
		{"no control groups", fstest.MapFS{}, 1 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := cpuLimit(tt.root); got != tt.want {
				t.Errorf("cpuLimit = %d, want %d", got, tt.want)
			}
		})
	}
}
