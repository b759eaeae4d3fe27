package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// process is a zooid server in a process of its own, as an operator runs it.
type process struct {
	dir    string
	config string
	addr   string // of the client port
	cmd    *exec.Cmd
	exited chan struct{}
	mu     sync.Mutex
	log    strings.Builder
}

var built struct {
	once      sync.Once
	dir, path string
	err       error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// zooidBinary builds the command once per test run.
func zooidBinary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "zooid-test"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "zooid")
		if out, err := exec.Command("go", "build", "-o", built.path, ".").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// startProcess writes a zoo.cfg with the given lines and starts a server on a free port.
func startProcess(t *testing.T, dir string, lines ...string) *process {
	t.Helper()
	config := filepath.Join(dir, "zoo.cfg")
	text := "tickTime=2000\nclientPort=" + freePort(t) + "\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\ndataDir=" + filepath.Join(dir, "data") + "\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{dir: dir, config: config}
	p.start(t)
	return p
}

// freePort finds a port that nobody listens on, so that a restarted server can have the same one. It lies below those that systems hand out by themselves: another
// test's connection would take one of them while the server is away.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10000 + rand.IntN(20000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

var servingLine = regexp.MustCompile(`client=([0-9.:\[\]]+)`)

func (p *process) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(zooidBinary(t), "serve", p.config)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.exited = make(chan struct{})
	t.Cleanup(p.kill)
	serving := make(chan string, 1)
	cmd, exited := p.cmd, p.exited
	go func() {
		scan := bufio.NewScanner(stderr)
		for scan.Scan() {
			p.mu.Lock()
			p.log.WriteString(scan.Text() + "\n")
			p.mu.Unlock()
			if m := servingLine.FindStringSubmatch(scan.Text()); m != nil {
				select {
				case serving <- m[1]:
				default:
				}
			}
		}
		_ = cmd.Wait() // the exit code is read from ProcessState by who cares
		close(exited)
	}()
	select {
	case p.addr = <-serving:
	case <-exited:
		t.Fatalf("the server ended:\n%s", p.output())
	case <-time.After(30 * time.Second):
		t.Fatalf("the server does not serve:\n%s", p.output())
	}
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// kill ends the process as kill -9 does, and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// restart starts a new process on the same directory.
func (p *process) restart(t *testing.T) *process {
	t.Helper()
	again := &process{dir: p.dir, config: p.config}
	again.start(t)
	return again
}
