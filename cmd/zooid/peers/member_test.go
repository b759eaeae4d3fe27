package peers

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// kind is whose server a member is.
type kind string

const (
	zooid    kind = "zooid"
	apache38 kind = "apache 3.8"
	apache39 kind = "apache 3.9"
)

func (k kind) apache() bool { return k != zooid }

// member is one server of an ensemble, in a process of its own. Its directory and ports stay when the process goes.
type member struct {
	id       int
	kind     kind
	observer bool
	dir      string
	disk     string // where its data is; empty: in dir
	ports    memberPorts
	flags    []string // of the Java machine
	host     string   // address
	also     string   // second address for its peers, with the same ports; empty: it has none
	binary   string   // of another build of Zooid; empty: of this one
	inside   []string // command that runs the process somewhere else, for instance in a network namespace

	cmd    *exec.Cmd
	ended  chan struct{}
	wanted bool // started, and not ended by the test
}

type memberPorts struct{ client, quorum, election int }

func (m *member) addr() string { return fmt.Sprintf("%s:%d", m.host, m.ports.client) }
func (m *member) data() string { return filepath.Join(cmp.Or(m.disk, m.dir), "data") }
func (m *member) log() string  { return filepath.Join(m.dir, "log") }

func (m *member) String() string { return fmt.Sprintf("server %d (%s)", m.id, m.kind) }

// line is the member in the ensemble's configuration.
func (m *member) line() string {
	role := "participant"
	if m.observer {
		role = "observer"
	}
	return fmt.Sprintf("server.%d=%s;%s:%d", m.id, strings.Join(m.peerAddresses(role), "|"), m.host, m.ports.client)
}

// peerAddresses are where its peers find a member.
func (m *member) peerAddresses(role string) []string {
	var out []string
	for _, host := range []string{m.host, m.also} {
		if host != "" {
			out = append(out, fmt.Sprintf("%s:%d:%d:%s", host, m.ports.quorum, m.ports.election, role))
		}
	}
	return out
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

// zooidBinary builds the command once per test run.
func zooidBinary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "zooid-peers"); built.err != nil {
			return
		}
		if out, err := exec.Command("go", "build", "-o", filepath.Join(built.dir, "zooid"), "..").CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "zooid")
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// start begins the process and returns when its client port answers, which both kinds do before they have a leader.
func (m *member) start(t testing.TB) {
	t.Helper()
	m.launch(t)
	eventually(t, m.String()+" answers on its client port", func() bool {
		select {
		case <-m.ended:
			t.Fatalf("%s has ended:\n%s", m, tail(m.log()))
		default:
		}
		_, err := m.word("ruok")
		return err == nil
	})
}

func (m *member) launch(t testing.TB) {
	t.Helper()
	config := filepath.Join(m.dir, "zoo.cfg")
	binary := m.binary
	if binary == "" {
		binary = zooidBinary(t)
	}
	command := []string{binary, "serve", config}
	if m.kind.apache() {
		command = append(apacheCommand(t, m.kind, m.flags), config)
	}
	command = append(slices.Clone(m.inside), command...)
	log, err := os.OpenFile(m.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the process has its own
	m.cmd = exec.Command(command[0], command[1:]...)
	m.cmd.Stdout, m.cmd.Stderr = log, log
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.wanted, m.ended = true, make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // how it ended stands in its log
		close(ended)
	}(m.cmd, m.ended)
}

func (m *member) running() bool {
	if m.cmd == nil {
		return false
	}
	select {
	case <-m.ended:
		return false
	default:
		return true
	}
}

// kill is kill -9, and returns when the process is gone.
func (m *member) kill() {
	m.wanted = false
	if m.running() {
		_ = m.cmd.Process.Kill()
		<-m.ended
	}
}

// killAll is kill -9 to several at the same time.
func killAll(all ...*member) {
	for _, m := range all {
		if m.running() {
			_ = m.cmd.Process.Kill()
		}
	}
	for _, m := range all {
		m.kill()
	}
}

// stop is what an operator does.
func (m *member) stop(t testing.TB) {
	t.Helper()
	m.wanted = false
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("%s: %v", m, err)
	}
	select {
	case <-m.ended:
	case <-time.After(patience):
		t.Fatalf("%s does not end on SIGTERM:\n%s", m, tail(m.log()))
	}
}

// pause and resume are SIGSTOP and SIGCONT.
func (m *member) pause(t testing.TB)  { t.Helper(); m.signal(t, syscall.SIGSTOP) }
func (m *member) resume(t testing.TB) { t.Helper(); m.signal(t, syscall.SIGCONT) }

func (m *member) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s: %v", m, err)
	}
}

// wipe takes everything away that the server has stored, but for its id.
func (m *member) wipe(t testing.TB) {
	t.Helper()
	if m.running() {
		t.Fatalf("%s runs", m)
	}
	if err := os.RemoveAll(m.data()); err != nil {
		t.Fatal(err)
	}
	m.writeID(t)
}

func (m *member) writeID(t testing.TB) {
	t.Helper()
	if err := os.MkdirAll(m.data(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.data(), "myid"), []byte(fmt.Sprintln(m.id)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// logLength is a mark: loggedSince looks behind it.
func (m *member) logLength() int64 {
	info, err := os.Stat(m.log())
	if err != nil {
		return 0
	}
	return info.Size()
}

// loggedSince tells whether the server has written text to its log after the mark.
func (m *member) loggedSince(mark int64, text string) bool {
	b, err := os.ReadFile(m.log())
	return err == nil && int64(len(b)) > mark && strings.Contains(string(b[mark:]), text)
}

// tail is the end of a log file, for a failure: without Java's stacks, and what its servers say of every four-letter word.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "\tat ") || strings.Contains(line, "server.NIOServerCnxn") || strings.HasPrefix(line, "EndOfStreamException") || strings.Contains(line, "Environment - ") {
			continue
		}
		lines = append(lines, line)
	}
	const shown = 60
	return strings.Join(lines[max(0, len(lines)-shown):], "")
}

// patience is how long anything may take on a machine that is busy with other things.
const patience = 90 * time.Second

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
