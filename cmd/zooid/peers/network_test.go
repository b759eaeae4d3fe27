package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// network puts every member into a namespace, with an address on one bridge.
func newNetwork(t testing.TB, e *ensemble) {
	t.Helper()
	if out, err := exec.Command("ip", "-o", "link").CombinedOutput(); err != nil || strings.Count(string(out), "\n") > 1 {
		t.Fatalf("the test is not alone in a network namespace (%v):\n%s", err, out)
	}
	own, _ := os.Readlink("/proc/self/ns/mnt")
	if callers, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", os.Getppid())); err != nil || own == callers {
		t.Fatalf("the test is not alone in a mount namespace (%v)", err)
	}
	// Names of namespaces are files: the test has its own, so that nothing is left of it and several may run at once.
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		t.Fatal(err)
	}
	mount(t, "/run/netns", "1m")
	ip(t, "link", "set", "lo", "up")
	ip(t, "link", "add", "zbridge", "type", "bridge")
	ip(t, "addr", "add", "10.77.0.254/24", "dev", "zbridge")
	ip(t, "link", "set", "zbridge", "up")
	for _, m := range e.members {
		space, outer := fmt.Sprintf("zooid%d", m.id), fmt.Sprintf("zveth%d", m.id)
		m.host = fmt.Sprintf("10.77.0.%d", m.id)
		ip(t, "netns", "add", space)
		t.Cleanup(func() { ip(t, "netns", "delete", space) })
		ip(t, "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
		ip(t, "link", "set", outer, "master", "zbridge", "up")
		ip(t, "-n", space, "addr", "add", m.host+"/24", "dev", "eth0")
		ip(t, "-n", space, "link", "set", "lo", "up")
		ip(t, "-n", space, "link", "set", "eth0", "up")
		m.inside = []string{"ip", "netns", "exec", space}
	}
}

func ip(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// cut stops everything that goes from one member to another; mend lets it through again.
func cut(t testing.TB, from, to *member) {
	t.Helper()
	ip(t, "-n", from.inside[3], "route", "add", "blackhole", to.host+"/32")
}

func mend(t testing.TB, from, to *member) {
	t.Helper()
	ip(t, "-n", from.inside[3], "route", "delete", "blackhole", to.host+"/32")
}

// mount makes a file system in memory, which goes with the test.
func mount(t testing.TB, dir, size string) {
	t.Helper()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "zooid", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount a file system at %s: %v: %s", dir, err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "--lazy", dir).Run() }) // if not, it goes with the namespace
}

// diskSize is how much fits on a member's file system.
const diskSize = "192m"

// newDisks gives every member a small file system of its own, which goes with the mount namespace of the test.
func newDisks(t testing.TB, e *ensemble) {
	t.Helper()
	for _, m := range e.members {
		m.disk = filepath.Join(m.dir, "disk")
		if err := os.Mkdir(m.disk, 0o755); err != nil {
			t.Fatal(err)
		}
		mount(t, m.disk, diskSize)
		m.writeID(t)
	}
}

func (m *member) ballast() string { return filepath.Join(m.disk, "ballast") }

// fill leaves no room on the member's file system, empty gives it back.
func (m *member) fill(t testing.TB) {
	t.Helper()
	f, err := os.Create(m.ballast())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for size := len(block); size >= 4096; {
		if _, err := f.Write(block[:size]); err != nil {
			size /= 2
		}
	}
}

func (m *member) empty(t testing.TB) {
	t.Helper()
	if err := os.Remove(m.ballast()); err != nil {
		t.Fatal(err)
	}
}
