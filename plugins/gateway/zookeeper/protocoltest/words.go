package protocoltest

import (
	"io"
	"strings"
	"testing"
	"time"
)

// Word asks a four-letter word.
func Word(t testing.TB, addr, word string) string {
	t.Helper()
	r := Dial(t, addr)
	defer r.Conn.Close()
	r.Send([]byte(word))
	r.Conn.SetReadDeadline(time.Now().Add(Patience))
	b, err := io.ReadAll(r.Conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wordIs(t *testing.T, target Target, word, want string) {
	if !target.Words {
		want = word + " is not executed because it is not in the whitelist.\n"
	}
	if got := Word(t, target.Addr, word); got != want {
		t.Fatalf("%q, want %q", got, want)
	}
}

func wordSrvr(t *testing.T, target Target) {
	lines := strings.Split(Word(t, target.Addr, "srvr"), "\n")
	for i, start := range []string{"Zookeeper version: 3.", "Latency min/avg/max: ", "Received: ", "Sent: ", "Connections: ", "Outstanding: ", "Zxid: 0x", "Mode: ", "Node count: "} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], start) {
			t.Fatalf("line %d does not begin with %q:\n%s", i+1, start, strings.Join(lines, "\n"))
		}
	}
}
