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

// containerMemory returns the memory limit of the control group of this process, in bytes:
// the lowest of the group and those above it. It is false where there is none. The root is
// that of the file system.
func containerMemory(root fs.FS) (limit int64, ok bool) {
	limit = math.MaxInt64
	for _, file := range memoryFiles(root) {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			continue
		}
		// "max" in version 2, and a number near the largest in version 1, mean no limit.
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n < limit {
			limit = n
		}
	}
	const unlimited = 1 << 60
	return limit, limit < unlimited
}

// memoryFiles returns the files that may hold a limit, for both versions of control groups.
func memoryFiles(root fs.FS) (files []string) {
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
		mount, file := "", ""
		switch {
		case fields[1] == "":
			mount, file = "sys/fs/cgroup", "memory.max"
		case strings.Contains(","+fields[1]+",", ",memory,"):
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := path.Join("/", fields[2]); ; dir = path.Dir(dir) {
			files = append(files, path.Join(mount, dir, file))
			if dir == "/" {
				break
			}
		}
	}
	return files
}
