package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
)

// What a server in a process of its own says of itself, and what the system says of it.

// replayedLine is what a server logs of the transactions that it took from its log when it started: none, no line.
var replayedLine = regexp.MustCompile(`replayed the log.* transactions=(\d+) .*`)

// mntr is one of the figures that mntr prints, which the configuration must allow.
func mntr(t *testing.T, server *process, name string) int {
	t.Helper()
	conn, err := net.DialTimeout("tcp", server.addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("mntr")); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "zk_"+name+"\t")
	if !found {
		t.Fatalf("no %s in mntr:\n%s", name, text)
	}
	value, _, _ := strings.Cut(rest, "\n")
	f, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(f)
}

// memoryMB is what the process occupies, VmRSS now or VmHWM at most so far; 0 on a system that does not say.
func memoryMB(t *testing.T, server *process, key string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", server.cmd.Process.Pid))
	if err != nil {
		t.Logf("resident memory is not known on this system: %v", err)
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb / 1024
		}
	}
	t.Fatal("no " + key)
	return 0
}

// scaleLimitMB is what a server may occupy whose cache has 256 MiB, however many nodes it holds and whatever is asked of it.
const scaleLimitMB = 700

// staysSmall judges and reports the server's memory.
func staysSmall(t *testing.T, server *process, after string) {
	t.Helper()
	now, most := memoryMB(t, server, "VmRSS"), memoryMB(t, server, "VmHWM")
	t.Logf("%-22s resident %d MB, at most %d MB so far", "after "+after, now, most)
	if most > scaleLimitMB {
		t.Errorf("after %s: %d MB were resident, want at most %d", after, most, scaleLimitMB)
	}
}

func dialClient(t *testing.T, addr string) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, addr, client.Options{SessionTimeout: 60 * time.Second, StayLost: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel() // the server may be gone: nothing is waited for
		_ = c.Close(ended)
	})
	return c
}

// inParallel does n things, so many at a time, and ends the test with the first error.
func inParallel(t *testing.T, workers, n int, do func(i int) error) {
	t.Helper()
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
}

// waitUntil asks until the answer is yes.
func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come about within a minute: %s", what)
		}
	}
}
