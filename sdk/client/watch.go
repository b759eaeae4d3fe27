package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/sdk/wire"
)

// ErrWatchClosed is returned by Watch.Next after Watch.Close, and after the one event of a one-shot watch.
var ErrWatchClosed = errors.New("client: watch closed")

// watchQueue is how many events a Watch keeps for a slow reader before it says Gap.
const watchQueue = 4096

// Event is something that happened to a watched node, or Gap.
type Event struct {
	// Gap says that events may be missing here: the connection was lost for a while (persistent watches only), or the reader was too slow. Whoever keeps a view of the nodes reads them again
	// now; the events that follow cover everything after that. Type and Path are then unset.
	Gap  bool
	Type wire.EventType
	Path string // of the node that changed, without chroot
	Zxid int64  // of the change; -1 if the server did not say
}

type watchKind uint8

const (
	watchData       watchKind = iota // one-shot, by Get, or Exists on a node that exists
	watchExist                       // one-shot, by Exists on a node that does not
	watchChild                       // one-shot, by Children
	watchPersistent                  // until closed
	watchRecursive                   // until closed, with all descendants
	watchKinds
)

func (k watchKind) oneShot() bool { return k <= watchChild }

// Watch yields the events of one node, or of a subtree, in the order of the changes. It survives server changes and new sessions: the client arms it again by itself. A one-shot watch then loses
// nothing, because the server compares zxids; a persistent one yields an Event with Gap set. Next and TryNext are for one goroutine at a time, Close for any.
type Watch struct {
	c    *Client
	path string // full
	kind watchKind

	ready chan struct{} // one token: something for Next

	// Guarded by c.mu.
	queue []Event
	err   error // why it has ended
	stale bool  // not armed at the present connection
}

func (c *Client) newWatch(path string, kind watchKind) *Watch {
	return &Watch{c: c, path: c.full(path), kind: kind, ready: make(chan struct{}, 1)}
}

// Watch arms a persistent watch at a path, which need not exist (spec client-protocol, 7): created, data changed, deleted and children changed of that node, or with
// wire.AddWatchPersistentRecursive created, data changed and deleted of the node and of everything below it. Servers before 3.6 do not know it: wire.ErrUnimplemented.
func (c *Client) Watch(ctx context.Context, path string, mode wire.AddWatchMode) (*Watch, error) {
	kind := watchPersistent
	if mode == wire.AddWatchPersistentRecursive {
		kind = watchRecursive
	}
	w := c.newWatch(path, kind)
	cl, err := c.do(ctx, &wire.Request{Op: wire.Op{Code: wire.OpAddWatch, Path: path}, AddWatchMode: mode}, w)
	if err != nil {
		return nil, err
	}
	cl.free()
	return w, nil
}

// Path returns the watched path, without chroot.
func (w *Watch) Path() string { return w.c.strip(w.path) }

// Next returns the next event, waiting for it if need be. Its errors are ctx's; ErrWatchClosed; and what ended the watch for good: ErrClosed, wire.ErrSessionExpired (Options.StayLost),
// wire.ErrAuthFailed, or the server's refusal to arm it again. Events that came before the end are returned first.
func (w *Watch) Next(ctx context.Context) (Event, error) {
	for {
		if e, ok, err := w.take(); ok || err != nil {
			return e, err
		}
		select {
		case <-w.ready:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// TryNext returns the next event if there is one. Errors are those of Next.
func (w *Watch) TryNext() (e Event, ok bool, err error) { return w.take() }

// Ready returns a channel that yields a token when something may have come since the last TryNext or Next, for use in select. Call TryNext until it finds nothing.
func (w *Watch) Ready() <-chan struct{} { return w.ready }

func (w *Watch) take() (Event, bool, error) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if len(w.queue) > 0 {
		e := w.queue[0]
		if w.queue = w.queue[1:]; len(w.queue) == 0 {
			w.queue = nil
		}
		return e, true, nil
	}
	return Event{}, false, w.err
}

// push queues an event. Callers hold c.mu.
func (w *Watch) push(e Event) {
	n := len(w.queue)
	switch {
	case n > 0 && e.Gap && w.queue[n-1].Gap:
		return
	case n >= watchQueue && w.queue[n-1].Gap:
		return // the reader reads everything again when it gets there
	case n >= watchQueue-1:
		e = Event{Gap: true}
	}
	w.queue = append(w.queue, e)
	w.signal()
}

func (w *Watch) signal() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// end closes the watch for a reason. Callers hold c.mu.
func (w *Watch) end(err error) {
	if w.err == nil {
		w.err = err
		w.signal()
	}
}

// Close ends the watch; events not yet read can still be read. It also tells the server, unless another Watch needs what is armed there, and waits for the answer as long as ctx allows.
func (w *Watch) Close(ctx context.Context) error {
	c := w.c
	c.mu.Lock()
	if w.err != nil {
		c.mu.Unlock()
		return nil
	}
	w.end(ErrWatchClosed)
	c.watches.remove(w)
	var cl *call
	var err error
	if t, needed := c.watches.removable(w); needed && c.conn != nil && c.final == nil && !w.stale {
		// Queued under the lock that found nobody else: whoever arms the same watch now does so after this.
		cl, err = c.enqueue(c.conn, &wire.Request{Op: wire.Op{Code: wire.OpRemoveWatches, Path: w.path}, WatcherType: t}, nil, nil)
	}
	c.mu.Unlock()
	if cl == nil {
		return err
	}
	switch err = c.await(ctx, cl); {
	case err == nil:
		cl.free()
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("client: remove watch at %s: %w", w.Path(), err)
	}
	return nil // fired meanwhile, an old server, or the connection is gone and the watch with it
}
