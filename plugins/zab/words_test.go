package zab

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// TestWordsOfVersionOne: v0.1.0 wrote the two epochs only.
func TestWordsOfVersionOne(t *testing.T) {
	w, err := decodeWords([]byte{1, 0, 0, 0, 7, 0, 0, 0, 6})
	if err != nil || w != (words{accepted: 7, current: 6}) {
		t.Fatalf("%+v, %v", w, err)
	}
}

// TestWordsOfVersionTwo: no cluster yet.
func TestWordsOfVersionTwo(t *testing.T) {
	b := words{accepted: 7, current: 6, unsynced: true, config: "c"}.encode()
	b = append(b[:18:18], b[38:]...)
	b[0] = 2
	w, err := decodeWords(b)
	if err != nil || w != (words{accepted: 7, current: 6, unsynced: true, config: "c"}) {
		t.Fatalf("%+v, %v", w, err)
	}
}

func TestWordsRefuseWhatTheyDoNotKnow(t *testing.T) {
	for _, w := range []words{{}, {accepted: 7, current: 6}, {accepted: 7, current: 6, unsynced: true}, {accepted: 7, current: 6, unsynced: true, claimed: true, mark: 6<<32 | 9}, {accepted: 7, cutting: true, mark: 5<<32 | 3}, {accepted: 9, current: 9, config: "server.1=h:1:2\nversion=0", next: "x"},
		{accepted: 3, current: 3, cluster: peer.Cluster{ID: kernel.ClusterID{1, 2}, Epoch: 3}}, {accepted: 3, current: 3, cluster: peer.Cluster{ID: kernel.ClusterID{1, 2}, Epoch: 2, Agreed: true}, config: "c"}} {
		if got, err := decodeWords(w.encode()); err != nil || got != w {
			t.Fatalf("round trip of %+v: %+v, %v", w, got, err)
		}
	}
	good := words{accepted: 7, current: 6, config: "c"}.encode()
	with := func(at int, v byte) []byte {
		b := append([]byte{}, good...)
		b[at] = v
		return b
	}
	for name, b := range map[string][]byte{
		"empty": {}, "short": good[:8], "cut in a configuration": good[:44], "long": append(append([]byte{}, good...), 0),
		"version 0": with(0, 0), "later version": with(0, 4), "version 1 that goes on": with(0, 1), "later flag": with(9, 16), "agreed on nothing": with(9, 8), "epoch of no cluster": with(37, 1), "short in the cluster": good[:37], "version 2 that goes on": with(0, 2), "claim without loss": with(9, 4), "cut and loss": with(9, 3), "cut without its flag": with(17, 1),
		"length beyond the end":         with(38, 0xff),
		"current above accepted":        words{accepted: 1, current: 2}.encode(),
		"negative epoch (sign bit set)": {1, 0x80, 0, 0, 0, 0x80, 0, 0, 0},
	} {
		if _, err := decodeWords(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add(words{accepted: 3, current: 2}.encode())
	f.Add(words{accepted: 3, current: 2, cutting: true, mark: 2<<32 | 7, config: "a", next: "b"}.encode())
	f.Add(words{accepted: 3, current: 2, cluster: peer.Cluster{ID: kernel.ClusterID{9}, Epoch: 2, Agreed: true}}.encode())
	f.Add([]byte{1, 0, 0, 0, 7, 0, 0, 0, 6})
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := decodeWords(b)
		if err == nil && b[0] == wordsVersion && string(w.encode()) != string(b) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b, w, w.encode())
		}
	})
}
