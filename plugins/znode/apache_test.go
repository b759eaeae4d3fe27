package znode

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/wire"
)

// TestApacheTransactions applies what an Apache server has written: after each transaction the tree has the digest that it had there.
func TestApacheTransactions(t *testing.T) {
	text, err := os.ReadFile("testdata/apache-3.8.0.log.txt")
	if err != nil {
		t.Fatal(err)
	}
	d := newDriver(t, map[string]string{"extendedTypesEnabled": "true"})
	digests := 0
	for _, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		data, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		var e wire.Entry
		if err := wire.DecodeEntry(data, &e); err != nil {
			t.Fatal(err)
		}
		if got := e.AppendTo(nil); !bytes.Equal(got, data) {
			t.Errorf("encoded again: %x, was %x", got, data)
		}
		info, err := d.m.Inspect(data)
		if err != nil || int64(info.Session) != e.Header.ClientID || info.Cxid != e.Header.Cxid {
			t.Errorf("%+v, %v", info, err)
		}
		if e.HasDigest {
			digests++
		}
		d.m.Apply([]kernel.Committed{{Zxid: kernel.Zxid(e.Header.Zxid), Data: data}})
		if d.m.mismatches > 0 {
			t.Fatalf("the digest differs after %v %s", e.Txn.Type, e.Txn.Path)
		}
	}
	if digests < 25 || d.m.Position() < 30 || len(d.m.sessions.byID) != 0 || d.m.ephemerals.total != 0 {
		t.Fatalf("%d digests, position %s, %d sessions, %d ephemeral nodes", digests, d.m.Position(), len(d.m.sessions.byID), d.m.ephemerals.total)
	}
	for path, data := range map[string]string{"/a": "more", "/a/two": "\x00\xff", "/m/q": "12345", "/ünï": ""} {
		if n := d.m.at(path); n == nil || string(n.Data) != data {
			t.Errorf("%s: %+v", path, n)
		}
	}
	d.verify()
}
