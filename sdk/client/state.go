package client

import (
	"context"
	"time"
)

// State is what a client knows about its session.
type State int

// The states. Lost is always followed by Connecting (a new session) or Closed; Closed and AuthFailed are final.
const (
	Connecting State = iota // no session yet
	Connected
	ReadOnly  // connected to a server without a quorum
	Suspended // disconnected; the session and its ephemeral nodes may or may not live on: whoever holds a lock stops acting on it now
	Lost      // the session has expired, its ephemeral nodes are gone or about to go
	AuthFailed
	Closed
)

func (s State) String() string {
	names := [...]string{"connecting", "connected", "read-only", "suspended", "lost", "auth failed", "closed"}
	if s >= 0 && int(s) < len(names) {
		return names[s]
	}
	return "unknown state"
}

// StateChange is one step of a client's life.
type StateChange struct {
	State     State
	Time      time.Time
	SessionID int64  // 0 before the first session
	Server    string // address, for Connected and ReadOnly
	Err       error  // why, for Suspended, Lost, AuthFailed and Closed
}

// stateNode is an element of the endless list of changes. ready is closed once next is set. Streams hold a position in the list, so none can miss a change, and a forgotten stream costs nothing.
type stateNode struct {
	change StateChange
	ready  chan struct{}
	next   *stateNode
}

func newStateNode(c StateChange) *stateNode {
	return &stateNode{change: c, ready: make(chan struct{})}
}

// StateStream yields every state change in order. Each stream has its own position; it is for one goroutine, and needs no closing.
type StateStream struct {
	node  *stateNode
	first bool
}

// Next returns the state at the time the stream was made, then each change after it, waiting for it if need be. Its only error is ctx's.
func (s *StateStream) Next(ctx context.Context) (StateChange, error) {
	if s.first {
		s.first = false
		return s.node.change, nil
	}
	select {
	case <-s.node.ready:
		s.node = s.node.next
		return s.node.change, nil
	case <-ctx.Done():
		return StateChange{}, ctx.Err()
	}
}

// Changed returns a channel that is closed when Next would return a change without waiting, for use in select.
func (s *StateStream) Changed() <-chan struct{} {
	if s.first {
		return closedChan
	}
	return s.node.ready
}

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// States returns a stream that starts with the present state.
func (c *Client) States() *StateStream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &StateStream{node: c.state, first: true}
}

// State returns the present state.
func (c *Client) State() StateChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.change
}

// setState appends a change. Callers hold c.mu.
func (c *Client) setState(s State, server string, err error) {
	n := newStateNode(StateChange{State: s, Time: time.Now(), SessionID: c.sessionID, Server: server, Err: err})
	old := c.state
	old.next = n
	c.state = n
	close(old.ready)
	c.opts.Logger.Debug("session state", "state", s.String(), "session", uint64(c.sessionID), "server", server, "err", err)
}

// SessionContext returns a context that ends when the present session (or, without one, the next) is lost or the client is closed; context.Cause tells which. Work done under a lock or as a leader
// belongs under it. It does not end at Suspended: watch States for that.
func (c *Client) SessionContext() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessionCtx
}
