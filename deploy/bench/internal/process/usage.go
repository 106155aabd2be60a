package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc/PID/stat: USER_HZ, which is 100 on every
// architecture that Go runs on (proc_pid_stat(5)).
const tick = 10 * time.Millisecond

// CPU returns the time that all threads of the process have run so far, in user and
// in system mode, with a resolution of 10 milliseconds.
func (p *Process) CPU() (time.Duration, error) {
	stat, err := p.read("stat")
	if err != nil {
		return 0, err
	}
	return cpuTime(stat)
}

// cpuTime reads fields 14 and 15 of proc_pid_stat(5). The second field is the
// program's name in parentheses, and may itself have spaces and parentheses in it.
func cpuTime(stat []byte) (time.Duration, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat has a form that is not known")
	}
	var ticks uint64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseUint(field, 10, 63)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// Memory is what a process holds in RAM, in bytes.
type Memory struct {
	// Resident is all of it.
	Resident int64
	// Anonymous is the part that belongs to the process alone: heap and stacks. The
	// rest are pages of the program's own file.
	Anonymous int64
}

// Memory returns what the process holds in RAM now.
func (p *Process) Memory() (Memory, error) {
	status, err := p.read("status")
	if err != nil {
		return Memory{}, err
	}
	return memory(status)
}

// memory reads VmRSS and RssAnon of proc_pid_status(5).
func memory(status []byte) (Memory, error) {
	sizes := map[string]int64{"VmRSS": -1, "RssAnon": -1}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if _, wanted := sizes[name]; !wanted {
			continue
		}
		number, isKB := strings.CutSuffix(strings.TrimSpace(value), " kB")
		n, err := strconv.ParseInt(number, 10, 43)
		if err != nil || !isKB {
			return Memory{}, fmt.Errorf("/proc/PID/status: %s is %q, not a number of kB", name, strings.TrimSpace(value))
		}
		sizes[name] = n << 10
	}
	if sizes["VmRSS"] < 0 || sizes["RssAnon"] < 0 {
		return Memory{}, fmt.Errorf("/proc/PID/status has no VmRSS or no RssAnon")
	}
	return Memory{Resident: sizes["VmRSS"], Anonymous: sizes["RssAnon"]}, nil
}

func (p *Process) read(name string) ([]byte, error) {
	if err := p.Running(); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name))
	if err != nil {
		return nil, fmt.Errorf("what a process uses is read from /proc, which needs Linux: %w", err)
	}
	return data, nil
}
