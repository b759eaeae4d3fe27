package zooidtest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/client/zooidtest"
	"github.com/zooid-project/zooid/sdk/wire"
)

// A server that is left alone serves reads to whoever asks for no more. It writes nothing: when the others are back the ensemble goes on where it was (spec zab, S-03).
func TestReadOnlyMode(t *testing.T) {
	t.Parallel()
	e := zooidtest.StartEnsemble(t, 3, 0, append([]zooidtest.Option{zooidtest.Set("readonlymode.enabled", "true"), zooidtest.Set("localSessionsEnabled", "true")}, quick...)...)
	left := e.Followers()[0]
	c := dial(t, left, client.Options{})
	set(t, c, "/a", "before")
	held := dial(t, left, client.Options{ReadOnly: true})
	states := held.States()
	if first, err := states.Next(within(t)); err != nil || first.State != client.Connected {
		t.Fatalf("%+v, %v", first, err)
	}
	var others []*zooidtest.Server
	for _, s := range e.Servers {
		if s != left {
			others = append(others, s)
			s.Kill()
		}
	}
	for _, want := range []client.State{client.Suspended, client.ReadOnly} { // held first, then let go for what there is
		if change, err := states.Next(within(t)); err != nil || change.State != want {
			t.Fatalf("%+v, %v; want %v", change, err, want)
		}
	}
	before := left.Host().Status()
	reader := dial(t, left, client.Options{ReadOnly: true})
	for _, c := range []*client.Client{reader, held} {
		if got := get(t, c, "/a"); got != "before" || c.State().State != client.ReadOnly {
			t.Errorf("read %q in state %v", got, c.State().State)
		}
	}
	_, _, watch, err := reader.GetW(within(t), "/a")
	if err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func(context.Context) error{
		"set":  func(ctx context.Context) error { _, err := reader.Set(ctx, "/a", nil, client.AnyVersion); return err },
		"sync": func(ctx context.Context) error { return reader.Sync(ctx, "/a") },
		"create ephemeral": func(ctx context.Context) error {
			_, err := reader.Create(ctx, "/e", nil, client.CreateOptions{Mode: wire.Ephemeral})
			return err
		},
		"delete": func(ctx context.Context) error { return reader.Delete(ctx, "/a", client.AnyVersion) },
	} {
		if err := do(within(t)); !errors.Is(err, wire.ErrNotReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	short, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if writer, err := client.Dial(short, left.ConnectString(), client.Options{}); err == nil {
		writer.Close(done())
		t.Error("a client that wants to write was let in")
	}
	gone := dial(t, left, client.Options{ReadOnly: true})
	if err := gone.Close(within(t)); err != nil {
		t.Errorf("close: %v", err)
	}
	if now := left.Host().Status(); now.LastProposed != before.LastProposed || now.LastDurable != before.LastDurable || now.LastApplied != before.LastApplied || !now.ReadOnly {
		t.Errorf("%+v became %+v", before, now)
	}
	for _, s := range others {
		s.Restart()
	}
	e.Wait()
	set(t, dial(t, others[0], client.Options{}), "/a", "after")
	if event, err := watch.Next(within(t)); err != nil || event.Type != wire.EventNodeDataChanged {
		t.Errorf("%+v, %v", event, err)
	}
	for states := held.States(); ; {
		change, err := states.Next(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if change.State == client.Connected {
			break
		}
	}
	set(t, held, "/a", "writes again")
}

// Without local sessions a read-only server has no session to give; a client that asked is closed, not answered with what it cannot read.
func TestReadOnlyModeNeedsLocalSessions(t *testing.T) {
	t.Parallel()
	e := zooidtest.StartEnsemble(t, 3, 0, append([]zooidtest.Option{zooidtest.Set("readonlymode.enabled", "true")}, quick...)...)
	left := e.Followers()[0]
	for _, s := range e.Servers {
		if s != left {
			s.Kill()
		}
	}
	for deadline := time.Now().Add(patience); !left.Host().Status().ReadOnly; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", left.Host().Status())
		}
	}
	short, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c, err := client.Dial(short, left.ConnectString(), client.Options{ReadOnly: true}); err == nil {
		c.Close(done())
		t.Error("it got a session")
	}
}
