package program

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryShare is the share of a container's memory that the Go runtime may use, in percent.
// The rest is for what it does not count: the program itself, and the kernel's buffers.
const memoryShare = 85

// limitMemory makes the runtime collect garbage more often when the program comes near the
// limit of its container, instead of being killed there. GOMEMLIMIT overrides it.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit, ok := containerMemory(os.DirFS("/")); ok {
		debug.SetMemoryLimit(limit / 100 * memoryShare)
	}
}

// CPUQuota returns the CPU time that the control group of this process, or one above it, may use,
// in CPUs. ok is false without a quota.
func CPUQuota() (cpus float64, ok bool) { return containerCPUs(os.DirFS("/")) }

// containerMemory returns the memory limit of the control group of this process, in bytes:
// the lowest of the group and those above it. ok is false without a limit. root is the
// file system's.
func containerMemory(root fs.FS) (limit int64, ok bool) {
	limit = math.MaxInt64
	for _, dir := range controlGroups(root, "memory") {
		for _, name := range []string{"memory.max", "memory.limit_in_bytes"} { // version 2, version 1
			// "max" in version 2, and a number near the largest in version 1, mean no limit.
			if n, err := strconv.ParseInt(readLine(root, dir, name), 10, 64); err == nil {
				limit = min(limit, n)
			}
		}
	}
	const unlimited = 1 << 60
	return limit, limit < unlimited
}

// containerCPUs is containerMemory for the CPU time, in CPUs.
func containerCPUs(root fs.FS) (quota float64, ok bool) {
	quota = math.Inf(1)
	for _, dir := range controlGroups(root, "cpu") {
		fields := strings.Fields(readLine(root, dir, "cpu.max")) // "QUOTA PERIOD" in version 2
		if len(fields) != 2 {
			fields = []string{readLine(root, dir, "cpu.cfs_quota_us"), readLine(root, dir, "cpu.cfs_period_us")}
		}
		used, err := strconv.ParseFloat(fields[0], 64) // "max" in version 2 and -1 in version 1 mean none
		period, errPeriod := strconv.ParseFloat(fields[1], 64)
		if err == nil && errPeriod == nil && used > 0 && period > 0 {
			quota = min(quota, used/period)
		}
	}
	return quota, !math.IsInf(quota, 1)
}

// readLine returns the content of a file without white space around it, or "".
func readLine(root fs.FS, dir, name string) string {
	text, err := fs.ReadFile(root, path.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// controlGroups returns the folders of the control groups of this process that may limit
// what the controller controls, for both versions of control groups.
func controlGroups(root fs.FS, controller string) (dirs []string) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(groups)) {
		// hierarchy-ID:controller-list:path (cgroups(7))
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		mount := "sys/fs/cgroup"
		switch {
		case fields[1] == "": // version 2
		case strings.Contains(","+fields[1]+",", ","+controller+","):
			mount = path.Join(mount, controller)
		default:
			continue
		}
		for dir := path.Join("/", fields[2]); ; dir = path.Dir(dir) {
			dirs = append(dirs, path.Join(mount, dir))
			if dir == "/" {
				break
			}
		}
	}
	return dirs
}
