package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"go.uber.org/goleak"

	"github.com/zooid-project/zooid/sdk/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGolden runs testdata/*.txt. Directives: run (one command per line of input, all in one session), json (the same with --json), fail CODE (every answer from now on).
// Lines of standard error start with "! "; an exit code other than 0 is printed.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		fake := newFake()
		var log bytes.Buffer
		sh := New(&log, &prefixed{w: &log})
		sh.Servers, sh.Version = "zoo:2181", "0"
		sh.Connect = func(context.Context, string) (Client, error) { return fake, nil }
		defer sh.Close()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			log.Reset()
			switch d.Cmd {
			case "run", "json":
				sh.JSON = d.Cmd == "json"
				for _, line := range strings.Split(d.Input, "\n") {
					code, quit := sh.line(t.Context(), line, 0)
					if code != 0 {
						fmt.Fprintf(&log, "exit code %d\n", code)
					}
					if quit {
						log.WriteString("quit\n")
					}
				}
			case "fail":
				fake.fail = map[string]error{"none": nil, "connectionloss": wire.ErrConnectionLoss, "noauth": wire.ErrNoAuth, "quota": wire.ErrQuotaExceeded, "other": errors.New("something else")}[d.CmdArgs[0].Key]
			default:
				t.Fatalf("no directive %s", d.Cmd)
			}
			// Times are those of the test's machine; all nodes of the fake are from 1970.
			return strings.ReplaceAll(log.String(), date(0), "DATE")
		})
	})
}

// prefixed marks lines of standard error.
type prefixed struct{ w *bytes.Buffer }

func (p *prefixed) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		p.w.WriteString("! " + line)
	}
	return len(b), nil
}

// lockedBuffer is written by watches and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	c  *sync.Cond
}

func newLockedBuffer() *lockedBuffer { b := &lockedBuffer{}; b.c = sync.NewCond(&b.mu); return b }

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.c.Broadcast()
	return b.b.Write(p)
}

func (b *lockedBuffer) await(t *testing.T, text string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	timer := time.AfterFunc(10*time.Second, b.c.Broadcast)
	defer timer.Stop()
	for begin := time.Now(); !strings.Contains(b.b.String(), text); b.c.Wait() {
		if time.Since(begin) > 9*time.Second {
			t.Errorf("%q did not come; there is %q", text, b.b.String())
			return
		}
	}
}

func TestWatches(t *testing.T) {
	fake, out := newFake(), newLockedBuffer()
	sh := New(out, out)
	sh.Connect = func(context.Context, string) (Client, error) { return fake, nil }
	defer sh.Close()
	for _, words := range [][]string{{"create", "/a"}, {"addWatch", "-m", "PERSISTENT", "/a"}, {"set", "/a", "x"}} {
		if code := sh.Run(t.Context(), words); code != 0 {
			t.Fatalf("%v: %d", words, code)
		}
	}
	out.await(t, "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeDataChanged path:/a zxid: 2\n")
	if code := sh.Run(t.Context(), []string{"removewatches", "/a", "-p"}); code != 0 {
		t.Errorf("removewatches: %d", code)
	}
	out.await(t, "type:PersistentWatchRemoved path:/a zxid: -1\n")
	if code := sh.Run(t.Context(), []string{"removewatches", "/a", "-p"}); code != ExitFailed {
		t.Errorf("a second removewatches: %d", code)
	}
	out.await(t, "No such watcher for /a\n")
	for _, words := range [][]string{{"get", "/a", "watch"}, {"set", "/a", "y"}} {
		if code := sh.Run(t.Context(), words); code != 0 {
			t.Fatalf("%v: %d", words, code)
		}
	}
	out.await(t, "old form; use -w to watch\n")
	out.await(t, "type:NodeDataChanged path:/a zxid: 3\n")
}

func TestReadLines(t *testing.T) {
	for input, want := range map[string]int{
		"create /a\nls /\n":      ExitOK,
		"ls /\nls /nope":         ExitFailed,
		"ls /nope\n\n  \n":       ExitFailed,
		"ls /nope\nls /\n":       ExitOK,
		"nothing\n":              ExitUnknown,
		"ls\n":                   ExitUsage,
		"ls \"/\n":               ExitUsage,
		"ls /nope\nquit\nls /\n": ExitFailed,
	} {
		fake := newFake()
		var out, errOut bytes.Buffer
		sh := New(&out, &errOut)
		sh.Connect = func(context.Context, string) (Client, error) { return fake, nil }
		if code := sh.Interactive(t.Context(), strings.NewReader(input)); code != want {
			t.Errorf("%q: code %d, want %d\n%s", input, code, want, errOut.String())
		}
		sh.Close()
		if !fake.closed {
			t.Errorf("%q: session left open", input)
		}
		if !strings.HasPrefix(errOut.String(), "Connecting to localhost:2181\n") {
			t.Errorf("%q: %q", input, errOut.String())
		}
	}
}

// A lost session is said, once: the client goes on with another one as if nothing had happened.
func TestSessionLoss(t *testing.T) {
	fake := newFake()
	fake.session = 0x10
	var out, errOut bytes.Buffer
	sh := New(&out, &errOut)
	sh.Connect = func(context.Context, string) (Client, error) { return fake, nil }
	defer sh.Close()
	for _, session := range []int64{0x10, 0x11, 0x11} {
		fake.mu.Lock()
		fake.session = session
		fake.mu.Unlock()
		if code := sh.Run(t.Context(), []string{"ls", "/"}); code != ExitOK {
			t.Fatalf("code %d", code)
		}
	}
	if want := "Session 0x10 has expired; its ephemeral nodes are gone. This is session 0x11.\n"; errOut.String() != want {
		t.Errorf("%q, want %q", errOut.String(), want)
	}
}

func TestCannotConnect(t *testing.T) {
	var out, errOut bytes.Buffer
	sh := New(&out, &errOut)
	sh.JSON = true
	sh.Connect = func(context.Context, string) (Client, error) { return nil, errors.New("refused") }
	defer sh.Close()
	if code := sh.Run(t.Context(), []string{"ls", "/"}); code != ExitFailed {
		t.Errorf("code %d", code)
	}
	var got struct{ Message string }
	if err := json.Unmarshal(errOut.Bytes(), &got); err != nil || !strings.Contains(got.Message, "localhost:2181: refused") {
		t.Errorf("%q %v", errOut.String(), err)
	}
}

func TestComplete(t *testing.T) {
	fake := newFake()
	for _, path := range []string{"/app", "/apple", "/b", "/b/é1", "/b/è2"} {
		if _, err := fake.Create(t.Context(), path, nil, createOptions()); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	sh := New(&out, &out)
	sh.Connect = func(context.Context, string) (Client, error) { return fake, nil }
	defer sh.Close()
	if err := sh.connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"printw":   "printwatches ",
		"getE":     "getEphemerals ",
		"get /a":   "get /app",
		"get /app": "get /app",
		"ls -R /b": "ls -R /b",
		"ls /zoo":  "ls /zookeeper",
		"ls /b/":   "ls /b/",
	} {
		if got, pos, ok := sh.complete(line, len(line), '\t'); !ok || got != want || pos != len(want) {
			t.Errorf("%q completed to %q at %d, %v", line, got, pos, ok)
		}
	}
	if !strings.Contains(out.String(), "/app  /apple") {
		t.Errorf("the choice was not shown: %q", out.String())
	}
	for _, line := range []string{"bogus", "ls /nope/x", "ls nopath"} {
		if got, _, ok := sh.complete(line, len(line), '\t'); ok {
			t.Errorf("%q completed to %q", line, got)
		}
	}
	if _, _, ok := sh.complete("ls", 2, 'x'); ok {
		t.Error("completed without Tab")
	}
}

// An ACL that was read prints as text that reads the same.
func FuzzParseACL(f *testing.F) {
	f.Add("world:anyone:cdrwa,digest:me:a:b:rw")
	f.Add("ip:10.0.0.0/8:")
	f.Fuzz(func(t *testing.T, text string) {
		acl, err := ParseACL(text)
		if err != nil {
			return
		}
		var entries []string
		for _, a := range acl {
			entries = append(entries, a.ID.Scheme+":"+a.ID.ID+":"+a.Perms.String())
		}
		again, err := ParseACL(strings.Join(entries, ","))
		if err != nil || len(again) != len(acl) {
			t.Fatalf("%v read back as %v, %v", acl, again, err)
		}
		for i := range acl {
			// Blanks around an entry are not its own.
			if again[i].Perms != acl[i].Perms || again[i].ID.ID != acl[i].ID.ID || strings.TrimSpace(again[i].ID.Scheme) != strings.TrimSpace(acl[i].ID.Scheme) {
				t.Fatalf("%v read back as %v", acl[i], again[i])
			}
		}
	})
}

// Words in quotes come back as they were.
func FuzzWords(f *testing.F) {
	f.Add("set /a \"x y\" 'z'")
	f.Fuzz(func(t *testing.T, line string) {
		words, err := Words(line)
		if err != nil {
			return
		}
		quoted := make([]string, len(words))
		for i, w := range words {
			quote := "\""
			if strings.Contains(w, quote) {
				quote = "'"
			}
			if strings.Contains(w, quote) {
				return
			}
			quoted[i] = quote + w + quote
		}
		again, err := Words(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(again, words) {
			t.Fatalf("%q read back as %q, %v", words, again, err)
		}
	})
}

func TestWords(t *testing.T) {
	for line, want := range map[string]string{
		`  a  b `:               "[a|b]",
		`set /a "x y" 'it "is'`: `[set|/a|x y|it "is]`,
		`a "" b`:                "[a||b]",
		`a"b c"`:                `[a"b|c"]`,
		`\n`:                    `[\n]`,
		``:                      "[]",
		`a "b`:                  "error",
	} {
		words, err := Words(line)
		got := "[" + strings.Join(words, "|") + "]"
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}
