package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/wire"
)

// loggedSegment runs a server that gets one request of each kind, and returns the file with their transactions.
func loggedSegment(t *testing.T) string {
	t.Helper()
	server := startProcess(t, t.TempDir())
	c, err := dialRaw(server.addr, 0, nil, 60*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for i, req := range []*wire.Request{
		createRequest("/a", []byte("secret"), 0),
		createRequest("/a/e", nil, wire.Ephemeral),
		{Op: wire.Op{Code: wire.OpCreateContainer, Path: "/c", ACL: openACL, Mode: wire.Container}},
		setRequest("/a", []byte("secrets"), 0),
		{Op: wire.Op{Code: wire.OpSetACL, Path: "/a", ACL: openACL, Version: -1}},
		{Op: wire.Op{Code: wire.OpMulti}, Ops: []wire.Op{
			{Code: wire.OpCheck, Path: "/a", Version: 1}, createRequest("/m", nil, 0).Op, setRequest("/a", []byte("secret"), 1).Op, deleteRequest("/m").Op,
		}},
		deleteRequest("/c"),
	} {
		if _, h, err := c.do(req); err != nil || h.Err != wire.ErrOK {
			t.Fatalf("request %d: %v %v", i, h.Err, err)
		}
	}
	if _, h, err := c.do(deleteRequest("/absent")); err != nil || h.Err != wire.ErrNoNode {
		t.Fatalf("what must fail: %v %v", h.Err, err)
	}
	if _, _, err := c.do(&wire.Request{Op: wire.Op{Code: wire.OpCloseSession}}); err != nil {
		t.Fatal(err)
	}
	server.kill()
	files, err := filepath.Glob(filepath.Join(server.dir, "data", "log", "segment.*1"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	return files[0]
}

// dumpOfSegment is what is printed of that log: every kind of transaction, and nobody's data.
const dumpOfSegment = `^segment 1 begins the log, generation 1, after zxid 0x0, synced 0x0, run 1, \d+ bytes
GROUP RECORD cxid 0x0 createSession timeout=40000ms
GROUP RECORD cxid 0x1 create "/a" 6 bytes
GROUP RECORD cxid 0x2 create "/a/e" 0 bytes ephemeral
GROUP RECORD cxid 0x3 createContainer "/c" 0 bytes
GROUP RECORD cxid 0x4 setData "/a" 7 bytes version=1
GROUP RECORD cxid 0x5 setACL "/a" version=1
GROUP RECORD cxid 0x6 multi \[check "/a" version=1; create "/m" 0 bytes; setData "/a" 6 bytes version=2; delete "/m"\]
GROUP RECORD cxid 0x7 delete "/c"
GROUP RECORD cxid 0x8 error NONODE
GROUP RECORD cxid 0x9 closeSession 1 ephemerals
$`

func TestLogCommands(t *testing.T) {
	segment := loggedSegment(t)
	log := filepath.Dir(segment)
	pattern := strings.NewReplacer("GROUP", ` +\d+ group of \d+ bytes, synced 0x[0-9a-f]+, run 1\n`, " RECORD", ` +\d+ 0x1[0-9a-f]{8} meta 0 data \d+ [-0-9]{10}T[:.0-9]{12}Z session 0x[0-9a-f]+`).Replace(dumpOfSegment)
	code, dump, errOut := zooid(t, "log", "dump", segment)
	if code != exitOK || errOut != "" || !regexp.MustCompile(pattern).MatchString(dump) || strings.Contains(dump, "secret") {
		t.Errorf("dump: code %d, %s\n%s\nwant\n%s", code, errOut, dump, pattern)
	}
	for path, want := range map[string]string{segment: segment + ": zxid 0x100000001 to 0x10000000a, ", log: log + ": 1 segments, all checksums right", filepath.Dir(log): log + ": 1 segments, all checksums right"} {
		if code, out, errOut := zooid(t, "log", "verify", path); code != exitOK || errOut != "" || !strings.Contains(out, want) || !strings.Contains(out, "all checksums right") {
			t.Errorf("verify %s: code %d, %s\n%s\nwant %q", path, code, errOut, out, want)
		}
	}

	// One bit of a record is wrong, and what follows says that it was synced.
	b, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, []byte("secrets"))] ^= 1
	if err := os.WriteFile(segment, b, 0o600); err != nil {
		t.Fatal(err)
	}
	record := regexp.MustCompile(`(?m)^ +(\d+) .* setData "/a" 7 bytes`).FindStringSubmatch(dump)
	if record == nil {
		t.Fatal("the dump does not say where the record is")
	}
	damage := segment + " is damaged at byte " + record[1] + ", after zxid 0x100000004: the checksum of a record is wrong"
	for _, args := range [][]string{{"verify", segment}, {"verify", log}, {"dump", segment}} {
		code, out, errOut := zooid(t, "log", args[0], args[1])
		if code != exitFailed || !strings.Contains(errOut, damage) || strings.Contains(out, "all checksums right") {
			t.Errorf("%v of a damaged log: code %d, want %d, and %q in\n%s%s", args, code, exitFailed, damage, out, errOut)
		}
		if bad := record[1] + " BAD: the checksum of a record is wrong\n"; args[0] == "dump" && (!strings.HasSuffix(out, bad) || !strings.Contains(out, `createContainer "/c"`)) {
			t.Errorf("a dump goes as far as it can and ends with %q:\n%s", bad, out)
		}
	}
}

// The end of a log that was never known to be synced is torn, not damaged: the server cuts it off.
func TestLogCommandsOnTornEnd(t *testing.T) {
	segment := loggedSegment(t)
	b, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	last := bytes.LastIndexFunc(b, func(r rune) bool { return r != 0 })
	b[last] ^= 1
	if err := os.WriteFile(segment, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errOut := zooid(t, "log", "verify", segment); code != exitOK || !strings.Contains(out, "to 0x100000009") || !strings.Contains(out, "a torn tail from byte ") {
		t.Errorf("verify: code %d\n%s%s", code, out, errOut)
	}
	if code, out, errOut := zooid(t, "log", "dump", segment); code != exitOK || !strings.Contains(out, " BAD: ") {
		t.Errorf("dump: code %d\n%s%s", code, out, errOut)
	}
}

func TestLogCommandsRefuse(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no segment at all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		code   int
		errOut string
	}{
		{[]string{"verify"}, exitUsage, "accepts 1 arg"},
		{[]string{"dump", "a", "b"}, exitUsage, "accepts 1 arg"},
		{[]string{"verify", filepath.Join(dir, "absent")}, exitFailed, "absent"},
		{[]string{"dump", filepath.Join(dir, "absent")}, exitFailed, "absent"},
		{[]string{"verify", text}, exitFailed, text},
		{[]string{"dump", text}, exitFailed, "no valid segment header"},
	} {
		if code, _, errOut := zooid(t, append([]string{"log"}, c.args...)...); code != c.code || !strings.Contains(errOut, c.errOut) {
			t.Errorf("log %v: code %d, want %d, and %q in\n%s", c.args, code, c.code, c.errOut, errOut)
		}
	}
}
