package zab

import (
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

func TestRecoverWords(t *testing.T) {
	fresh := kernel.ClusterID{7}
	old := peer.Cluster{ID: kernel.ClusterID{1}, Epoch: 2, Agreed: true}
	b, was, err := Recover(words{accepted: 9, current: 8, cutting: true, mark: 7<<32 | 3, config: "server.1=a:1:2\nversion=1", next: "x", cluster: old}.encode(), fresh)
	if err != nil || was != (Promises{Accepted: 9, Current: 8, Cluster: old.ID, End: 7<<32 | 3}) {
		t.Fatalf("%+v, %v", was, err)
	}
	// What was not accepted is cut at the next start, as it would have been.
	got, err := decodeWords(b)
	if err != nil || got != (words{accepted: 1009, current: 1009, cutting: true, mark: 7<<32 | 3, cluster: peer.Cluster{ID: fresh, Epoch: 1009, Agreed: true}}) {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, w := range map[string][]byte{
		"never was anywhere": nil, "unreadable": {1, 2, 3}, "not whole": words{accepted: 2, current: 2, unsynced: true}.encode(),
		"a claim is no history": words{accepted: 2, current: 2, unsynced: true, claimed: true, mark: 5}.encode(), "no epochs left": words{accepted: maxEpoch - 3, current: 2}.encode(),
	} {
		if _, _, err := Recover(w, fresh); err == nil {
			t.Errorf("%s: recovered", name)
		}
	}
}

// TestWordsOfALaterVersion: they are no damage, and the next start of the later version must find them.
func TestWordsOfALaterVersion(t *testing.T) {
	c := New()
	e := c.Step(0, kernel.Start{Self: 1, Words: []byte{wordsVersion + 1, 0}, Config: kernel.Ensemble{Voters: []kernel.ServerID{1, 2, 3}}})
	if _, damage := e.Fatal.(*kernel.PromiseError); e.Fatal == nil || damage || !strings.Contains(e.Fatal.Error(), "newer version") {
		t.Errorf("%v", e.Fatal)
	}
	c = New()
	e = c.Step(0, kernel.Start{Self: 1, Words: []byte{2, 0}, Config: kernel.Ensemble{Voters: []kernel.ServerID{1, 2, 3}}})
	if _, damage := e.Fatal.(*kernel.PromiseError); !damage {
		t.Errorf("%v", e.Fatal)
	}
}
