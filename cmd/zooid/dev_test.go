//go:build unix

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
)

// devPatience is how long a step of an ensemble may take on a slow machine.
const devPatience = 60 * time.Second

// devProcess is zooid dev as a user runs it, with the terminal's two sides in the hands of a test.
type devProcess struct {
	t       *testing.T
	cmd     *exec.Cmd
	in      io.WriteCloser
	lines   chan string // of its output; closed at its end
	seen    strings.Builder
	exited  chan struct{}
	all     *os.File // a pipe whose other end every process of the ensemble holds
	connect string
	dir     string
}

// startDev runs the command and reads what it says about itself.
func startDev(t *testing.T, args ...string) *devProcess {
	t.Helper()
	d := &devProcess{t: t, lines: make(chan string, 1000), exited: make(chan struct{})}
	d.cmd = exec.Command(zooidBinary(t), append([]string{"dev", "--tick", "500"}, args...)...)
	all, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.all, d.cmd.ExtraFiles = all, []*os.File{held} // the servers inherit it
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stderr = d.cmd.Stdout
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	held.Close()
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			d.lines <- s.Text()
		}
		close(d.lines)
		_ = d.cmd.Wait() // the exit code is read from ProcessState
		close(d.exited)
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Signal(syscall.SIGTERM) // so that it ends its servers, whatever the test found
		for range d.lines {
		}
		<-d.exited
		d.all.Close()
	})
	d.connect = d.await(`^\d+ servers, for clients: (.*)$`)[1]
	d.dir = d.await(`^Data and logs: (.*)$`)[1]
	d.await(`^  quit `)
	return d
}

// await reads lines up to the first that fits.
func (d *devProcess) await(pattern string) []string {
	d.t.Helper()
	fits := regexp.MustCompile(pattern)
	deadline := time.After(devPatience)
	for {
		select {
		case line, more := <-d.lines:
			if !more {
				d.t.Fatalf("it ended before it said %q:\n%s", pattern, d.seen.String())
			}
			fmt.Fprintln(&d.seen, line)
			if m := fits.FindStringSubmatch(line); m != nil {
				return m
			}
		case <-deadline:
			d.t.Fatalf("it does not say %q, but:\n%s", pattern, d.seen.String())
		}
	}
}

func (d *devProcess) say(format string, args ...any) {
	d.t.Helper()
	if _, err := fmt.Fprintf(d.in, format+"\n", args...); err != nil {
		d.t.Fatal(err)
	}
}

// status asks until as many servers as there are have one of the roles, and returns the number of the one that leads.
func (d *devProcess) status(servers int, roles string) (leader string) {
	d.t.Helper()
	deadline := time.Now().Add(devPatience)
	for good := 0; good < servers; {
		if time.Now().After(deadline) {
			d.t.Fatalf("not all servers are one of %s:\n%s", roles, d.seen.String())
		}
		d.say("status")
		good = 0
		for i := range servers {
			text := d.await(fmt.Sprintf(`^server %d  127\.0\.0\.1:\d+  (.*)$`, i+1))[1]
			if regexp.MustCompile(`^(` + roles + `)`).MatchString(text) {
				good++
			}
			if strings.HasPrefix(text, "leader") {
				leader = fmt.Sprint(i + 1)
			}
		}
		time.Sleep(20 * time.Millisecond) // between two questions
	}
	return leader
}

// expectEnd waits for the command to end by itself with code 0, and for the last of its servers.
func (d *devProcess) expectEnd() {
	d.t.Helper()
	select {
	case <-d.exited:
	case <-time.After(devPatience):
		d.t.Fatal("it does not end")
	}
	if code := d.cmd.ProcessState.ExitCode(); code != exitOK {
		d.t.Errorf("exit code %d, want %d", code, exitOK)
	}
	_ = d.all.SetReadDeadline(time.Now().Add(devPatience))
	if _, err := d.all.Read(make([]byte, 1)); err != io.EOF {
		d.t.Errorf("the command has ended and one of its servers has not: %v", err)
	}
}

func (d *devProcess) client(ctx context.Context, connect string) *client.Client {
	d.t.Helper()
	c, err := client.Dial(ctx, connect, client.Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond) // its server may be gone
		defer cancel()
		_ = c.Close(ctx)
	})
	return c
}

// TestDev lives through what its help promises: an ensemble that serves, loses a server, gets it back, ends with the command, and goes on in its directory.
func TestDev(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*devPatience)
	defer cancel()
	dir := t.TempDir()
	d := startDev(t, "--servers", "3", "--dir", dir)
	if d.dir != dir {
		t.Errorf("it says that its data is in %s, and has it in %s", d.dir, dir)
	}
	if n := strings.Count(d.connect, ",") + 1; n != 3 {
		t.Fatalf("3 servers and %d addresses: %s", n, d.connect)
	}
	leader := d.status(3, "leader|follower")
	c := d.client(ctx, d.connect)
	if _, err := c.Create(ctx, "/dev", []byte("before"), client.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	d.say("kill %s", leader)
	d.await("^server " + leader + ": kill done$")
	d.say("kill %s", leader)
	d.await("^server " + leader + " does not run$")
	d.status(3, "leader|follower|does not run")
	again := d.client(ctx, d.connect) // whoever it finds, another has to be tried for the dead one
	if _, err := again.Set(ctx, "/dev", []byte("without "+leader), -1); err != nil {
		t.Fatal(err)
	}

	d.say("restart %s", leader)
	d.await("^server " + leader + ": restart done$")
	d.say("restart %s", leader)
	d.await("^server " + leader + " runs already$")
	d.status(3, "leader|follower")
	var id int
	fmt.Sscan(leader, &id)
	returned := d.client(ctx, strings.Split(d.connect, ",")[id-1])
	if err := returned.Sync(ctx, "/dev"); err != nil {
		t.Fatal(err)
	}
	if data, _, err := returned.Get(ctx, "/dev"); err != nil || string(data) != "without "+leader {
		t.Errorf("the server that was killed and started again has %q, %v", data, err)
	}

	d.say("logs %s", leader)
	d.await("msg=serving")
	d.say("klil 1")
	d.await("^no such command: klil")
	d.say("kill 4")
	d.await("^kill needs a server: 1 to 3$")
	for id := range 3 {
		if info, err := os.Stat(filepath.Join(d.dir, fmt.Sprint(id+1), "log")); err != nil || info.Size() == 0 {
			t.Errorf("the log of server %d is not where it was said to be: %v", id+1, err)
		}
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	d.expectEnd()

	d = startDev(t, "--servers", "3", "--dir", dir)
	if data, _, err := d.client(ctx, d.connect).Get(ctx, "/dev"); err != nil || string(data) != "without "+leader {
		t.Errorf("an ensemble that goes on with a directory has %q, %v", data, err)
	}
	d.say("quit")
	d.expectEnd()
}

// TestDevWithoutTerminal: in the background, where no commands come, the servers run until a signal does.
func TestDevWithoutTerminal(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), devPatience)
	defer cancel()
	d := startDev(t, "--servers", "1", "--dir", t.TempDir())
	d.in.Close()
	d.await("^No more commands")
	if _, err := d.client(ctx, d.connect).Create(ctx, "/dev", nil, client.CreateOptions{}); err != nil {
		t.Error(err)
	}
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	d.expectEnd()
}
