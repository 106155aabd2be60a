package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// fleetNamespace matches the namespaces of a fleet. The number is the process that has made them.
var fleetNamespace = regexp.MustCompile(`(?m)^hp([0-9]+)(?:n[0-9]|probe)?\b`)

// removeLeftovers ends what runs in the namespaces of earlier tests that were killed, and deletes these.
func (f *databaseFleet) removeLeftovers(t *testing.T) {
	t.Helper()
	for _, found := range fleetNamespace.FindAllStringSubmatch(f.run("ip", "netns", "list"), -1) {
		pid, err := strconv.Atoi(found[1])
		if err != nil || pid != os.Getpid() && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		t.Logf("removing %s of a test that was killed", found[0])
		signalAll(found[0], syscall.SIGKILL)
		f.run("ip", "netns", "del", found[0])
		f.run("ip", "link", "del", found[0]) // the end of its cable, if it is still there
	}
}

// freeNetwork returns the first three numbers of a network that this machine does not use.
func (f *databaseFleet) freeNetwork(t *testing.T) string {
	t.Helper()
	used := f.run("ip", "-4", "addr") + f.run("ip", "-4", "route")
	for i := range 1000 {
		n := os.Getpid() + i
		if prefix := fmt.Sprintf("10.%d.%d", 100+n/250%100, n%250); !strings.Contains(used, " "+prefix+".") {
			return prefix
		}
	}
	t.Fatal("this machine uses all networks that were tried")
	return ""
}

// layNetwork makes the switch of the nodes and connects the test's own namespace to it. The switch is in a namespace of
// its own, so that the firewall of this machine, such as Docker's, does not apply to it.
func (f *databaseFleet) layNetwork(t *testing.T, address string) {
	t.Helper()
	f.mustRun(t, "ip", "netns", "add", f.scope)
	t.Cleanup(func() { f.run("ip", "netns", "del", f.scope) })
	for _, args := range [][]string{
		{"-n", f.scope, "link", "add", "switch", "type", "bridge"},
		{"-n", f.scope, "link", "set", "switch", "up"},
		{"link", "add", f.scope, "type", "veth", "peer", "name", "uplink", "netns", f.scope},
		{"-n", f.scope, "link", "set", "uplink", "master", "switch"},
		{"-n", f.scope, "link", "set", "uplink", "up"},
		{"addr", "add", address, "dev", f.scope},
		{"link", "set", f.scope, "up"},
	} {
		f.mustRun(t, "ip", args...)
	}
}

// connect makes the namespace of a node and its cable to the switch. At the end of the test, everything in it ends.
func (f *databaseFleet) connect(t *testing.T, n *node) {
	t.Helper()
	f.mustRun(t, "ip", "netns", "add", n.name)
	t.Cleanup(func() {
		n.signal(syscall.SIGKILL)
		for _, cmd := range n.started {
			_ = cmd.Wait() // it was killed
		}
		if t.Failed() {
			n.showLogs(t)
		}
		f.run("ip", "netns", "del", n.name)
	})
	for _, args := range [][]string{
		{"-n", f.scope, "link", "add", n.link, "type", "veth", "peer", "name", "eth0", "netns", n.name},
		{"-n", f.scope, "link", "set", n.link, "master", "switch"},
		{"-n", f.scope, "link", "set", n.link, "up"},
		{"-n", n.name, "addr", "add", n.address + "/24", "dev", "eth0"},
		{"-n", n.name, "link", "set", "eth0", "up"},
		{"-n", n.name, "link", "set", "lo", "up"},
	} {
		f.mustRun(t, "ip", args...)
	}
}

// signal sends a signal to all processes in the namespace.
func (n *node) signal(s syscall.Signal) { signalAll(n.name, s) }

// signalAll sends a signal to all processes in a namespace.
func signalAll(namespace string, s syscall.Signal) {
	for range 3 { // those that were started meanwhile
		out, err := exec.Command("ip", "netns", "pids", namespace).Output()
		if err != nil {
			return
		}
		for _, field := range strings.Fields(string(out)) {
			if pid, err := strconv.Atoi(field); err == nil {
				_ = syscall.Kill(pid, s) // it may have ended
			}
		}
	}
}
