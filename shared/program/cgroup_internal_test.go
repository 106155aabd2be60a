package program

import (
	"testing"
	"testing/fstest"
)

func TestContainerMemoryIsTheLowestLimitOfTheControlGroups(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	tests := []struct {
		name  string
		root  fstest.MapFS
		limit int64 // 0: none
	}{
		{"a container with version 2", fstest.MapFS{
			"proc/self/cgroup":         file("0::/\n"),
			"sys/fs/cgroup/memory.max": file("268435456\n"),
		}, 256 << 20},
		{"a service in a slice with a lower limit", fstest.MapFS{
			"proc/self/cgroup": file("0::/system.slice/hallpass.service\n"),
			"sys/fs/cgroup/system.slice/hallpass.service/memory.max": file("max\n"),
			"sys/fs/cgroup/system.slice/memory.max":                  file("1048576\n"),
		}, 1 << 20},
		{"version 1", fstest.MapFS{
			"proc/self/cgroup": file("9:cpu,cpuacct:/docker/1\n5:memory:/docker/1\n"),
			"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": file("9223372036854771712\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":          file("536870912\n"),
		}, 512 << 20},
		{"no limit in version 1", fstest.MapFS{
			"proc/self/cgroup":                           file("5:memory:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"),
		}, 0},
		{"no limit in version 2", fstest.MapFS{
			"proc/self/cgroup":         file("0::/\n"),
			"sys/fs/cgroup/memory.max": file("max\n"),
		}, 0},
		{"no control groups", fstest.MapFS{}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			limit, ok := containerMemory(tt.root)
			if ok != (tt.limit != 0) || (ok && limit != tt.limit) {
				t.Errorf("containerMemory = %d, %v; want %d", limit, ok, tt.limit)
			}
		})
	}
}

func TestContainerCPUsAreTheLowestQuotaOfTheControlGroups(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	tests := []struct {
		name  string
		root  fstest.MapFS
		quota float64 // 0: none
	}{
		{"a container with version 2", fstest.MapFS{
			"proc/self/cgroup":      file("0::/\n"),
			"sys/fs/cgroup/cpu.max": file("100000 100000\n"),
		}, 1},
		{"a service in a slice with a lower quota", fstest.MapFS{
			"proc/self/cgroup":                        file("0::/a.slice/b.service\n"),
			"sys/fs/cgroup/a.slice/cpu.max":           file("150000 100000\n"),
			"sys/fs/cgroup/a.slice/b.service/cpu.max": file("max 100000\n"),
		}, 1.5},
		{"version 1", fstest.MapFS{
			"proc/self/cgroup":                    file("9:cpu,cpuacct:/docker/1\n5:memory:/docker/1\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":  file("50000\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": file("100000\n"),
		}, 0.5},
		{"no quota in version 1", fstest.MapFS{
			"proc/self/cgroup":                    file("9:cpu,cpuacct:/\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":  file("-1\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": file("100000\n"),
		}, 0},
		{"no quota in version 2", fstest.MapFS{
			"proc/self/cgroup":      file("0::/\n"),
			"sys/fs/cgroup/cpu.max": file("max 100000\n"),
		}, 0},
		{"no control groups", fstest.MapFS{}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			quota, ok := containerCPUs(tt.root)
			if ok != (tt.quota != 0) || (ok && quota != tt.quota) {
				t.Errorf("containerCPUs = %v, %v; want %v", quota, ok, tt.quota)
			}
		})
	}
}
