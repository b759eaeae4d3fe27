package kernel

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// shelf is a snapshot store that counts what is in it.
type shelf struct {
	SnapshotStore
	kept []Zxid
}

func (s *shelf) Create() (SnapshotWriter, error) { return &onShelf{shelf: s}, nil }
func (s *shelf) Purge(int) (Zxid, error)         { return 0, nil }

type onShelf struct {
	bytes.Buffer
	shelf *shelf
}

func (w *onShelf) Commit(z Zxid) error {
	w.shelf.kept = append(w.shelf.kept, z)
	return nil
}
func (w *onShelf) Abort() error { return nil }

// fleeting is a machine whose state is gone with the process, memoryNodes the store of such a one.
type fleeting struct {
	StateMachine
	at Zxid
}

func (f *fleeting) Restore(r io.Reader, z Zxid) error {
	f.at = z
	_, err := io.Copy(io.Discard, r)
	return err
}
func (f *fleeting) Snapshot() (StateSnapshot, error) { return picture(f.at), nil }

type picture Zxid

func (p picture) Zxid() Zxid                         { return Zxid(p) }
func (p picture) WriteTo(w io.Writer) (int64, error) { return 0, nil }
func (p picture) Close() error                       { return nil }

type memoryNodes struct{ NodeStore }

func (memoryNodes) Durable() bool { return false }

// A state that came from a peer is on this server's disk before the protocol hears that it is there: it is about to be accepted, and voted with.
func TestAStateFromAPeerSurvivesBeforeItCounts(t *testing.T) {
	snapshots := &shelf{}
	n, err := NewNode(NodeConfig{Self: 1, TickTime: time.Second, Ensemble: Ensemble{Voters: []ServerID{1, 2, 3}}}, Parts{Machine: &fleeting{}, Nodes: memoryNodes{}, Snapshots: snapshots})
	if err != nil {
		t.Fatal(err)
	}
	z := MakeZxid(3, 7)
	n.restoreState(&RestoreState{Zxid: z, Body: bytes.NewReader([]byte("state"))})
	in := n.inputs.take()
	if r, ok := in[0].(Restored); !ok || r.Err != nil {
		t.Fatalf("%+v", in)
	}
	if len(snapshots.kept) != 1 || snapshots.kept[0] != z {
		t.Fatalf("kept %v, want %s", snapshots.kept, z)
	}
}
