package tcp

import (
	"fmt"
	"io"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/peer"
)

// read is the reader's goroutine. While the link is held, or the sink is behind by as many bytes as a queue may hold, it does not read, and the peer's own queue fills.
func (l *link) read() {
	l.mu.Lock()
	in := l.in
	l.mu.Unlock()
	if in == nil {
		return // hung up before it was up
	}
	r := peer.NewReader(in, l.t.settings.QueueBytes)
	for {
		var m kernel.Message
		var err error
		if l.id.Purpose == kernel.ForElection {
			m.Payload, err = r.Notification()
		} else {
			m, err = r.Packet()
		}
		if err == nil {
			err = l.handle(&m, r)
		}
		if err != nil {
			l.fail(reason(err))
			return
		}
	}
}

// handle gives a message to the sink, unless it is the transport's own.
func (l *link) handle(m *kernel.Message, r *peer.Reader) error {
	switch {
	case l.id.Purpose == kernel.ForElection:
		return l.deliver(*m)
	case m.Type == peer.Stream:
		return l.chunk(m)
	case m.Type == peer.Snap:
		body := &plainBody{link: l, r: peer.NewSnapshotReader(r.Buffered()), ended: make(chan struct{})}
		m.Body = body
		if err := l.deliver(*m); err != nil {
			return err
		}
		// The connection is the body's until its end.
		select {
		case <-body.ended:
			return nil
		case <-l.gone:
			return l.why()
		}
	}
	return l.deliver(*m)
}

// deliver queues a message for the sink, when there is room.
func (l *link) deliver(m kernel.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for (l.held || l.bytes >= l.t.settings.QueueBytes) && l.down == nil {
		l.room.Wait()
	}
	if l.down != nil {
		return l.down
	}
	l.keep(m)
	l.schedule()
	return nil
}

// why is the reason that the link is down.
func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down
}

// plainBody is a snapshot as it stands on the connection. Its reader reads the connection itself; the link's reader waits, and it is the body's reader who notices that the peer has gone.
type plainBody struct {
	link  *link
	r     *peer.SnapshotReader
	ended chan struct{}
	err   error
}

// Read implements io.Reader.
func (b *plainBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	switch {
	case err == io.EOF:
		b.err = io.EOF
		close(b.ended)
	case err != nil:
		b.link.fail(reason(fmt.Errorf("in a snapshot: %w", err)))
		b.err = b.link.why()
		err = b.err
	}
	return n, err
}
