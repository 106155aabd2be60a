package program

import (
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// CPUs returns how many CPUs this process may use at the same time: GOMAXPROCS, or the CPU
// limit of its control group, rounded down, if that is lower. It is at least 1. The Go runtime
// itself never sets GOMAXPROCS to 1 because of such a limit.
func CPUs() int { return min(runtime.GOMAXPROCS(0), cpuLimit(os.DirFS("/"))) }

// cpuLimit returns the lowest CPU limit of the control group of this process and those above
// it, at least 1. Without a limit, it is a large number. The root is that of the file system.
func cpuLimit(root fs.FS) int {
	const none = 1 << 20
	limit := none
	for _, dir := range cpuGroups(root) {
		quota, period := readNumbers(root, dir+"/cpu.max") // version 2
		if period == 0 {
			quota, _ = readNumbers(root, dir+"/cpu.cfs_quota_us")
			period, _ = readNumbers(root, dir+"/cpu.cfs_period_us")
		}
		if quota > 0 && period > 0 {
			limit = min(limit, max(1, quota/period))
		}
	}
	return limit
}

// cpuGroups returns the folders of the process's control group and those above it, for both
// versions of control groups.
func cpuGroups(root fs.FS) (dirs []string) {
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
		if fields[1] != "" {
			if !strings.Contains(","+fields[1]+",", ",cpu,") {
				continue
			}
			mount = "sys/fs/cgroup/cpu"
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

// readNumbers returns the first two numbers of a file, 0 for what is missing or no number.
func readNumbers(root fs.FS, file string) (first, second int) {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return 0, 0
	}
	fields := append(strings.Fields(string(text)), "", "")
	first, _ = strconv.Atoi(fields[0]) // "max" means no limit
	second, _ = strconv.Atoi(fields[1])
	return first, second
}
