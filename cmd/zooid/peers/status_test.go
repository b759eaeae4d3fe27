package peers

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// word sends a four-letter word and returns the answer.
func (m *member) word(name string) (string, error) {
	conn, err := net.DialTimeout("tcp", m.addr(), 2*time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, name); err != nil {
		return "", err
	}
	text, err := io.ReadAll(conn)
	return string(text), err
}

// field is the value of a line of srvr, for instance Mode; empty if the server does not serve.
func (m *member) field(name string) string {
	text, err := m.word("srvr")
	if err != nil {
		return ""
	}
	for _, line := range strings.Split(text, "\n") {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (m *member) mode() string { return m.field("Mode") }

// zxid is that of the last transaction that was applied, -1 if the server does not serve.
func (m *member) zxid() int64 {
	z, err := strconv.ParseInt(strings.TrimPrefix(m.field("Zxid"), "0x"), 16, 64)
	if err != nil {
		return -1
	}
	return z
}

// figure is one of mntr's.
func (m *member) figure(t testing.TB, name string) int64 {
	t.Helper()
	text, err := m.word("mntr")
	if err != nil {
		t.Fatalf("%s: mntr: %v", m, err)
	}
	for _, line := range strings.Split(text, "\n") {
		if value, ok := strings.CutPrefix(line, name+"\t"); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatalf("%s: mntr: %q", m, line)
			}
			return int64(f)
		}
	}
	t.Fatalf("%s: mntr has no %s", m, name)
	return 0
}

// digests are the tree digests that a server remembers, by zxid.
func (m *member) digests(t testing.TB) map[string]string {
	t.Helper()
	text, err := m.word("hash")
	if err != nil {
		t.Fatalf("%s: hash: %v", m, err)
	}
	out := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if zxid, digest, ok := strings.Cut(lines.Text(), ": "); ok {
			out[zxid] = digest
		}
	}
	return out
}

// level waits until every member that runs has applied the same, and returns its zxid. Nobody may write meanwhile.
func (e *ensemble) level() int64 {
	e.t.Helper()
	all := e.running()
	var zxid int64
	eventually(e.t, "all servers have applied the same", func() bool {
		zxid = all[0].zxid()
		for _, m := range all[1:] {
			if m.zxid() != zxid {
				return false
			}
		}
		return zxid >= 0
	})
	return zxid
}
