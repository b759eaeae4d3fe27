package tcp

import (
	"fmt"
	"io"
	"sync"

	"github.com/zooid-project/zooid/sdk/peer"
)

// body is what comes in pieces, for the one who reads it. It holds at most windowBytes.
type body struct {
	link   *link
	number int64

	mu     sync.Mutex
	more   *sync.Cond
	pieces [][]byte
	bytes  int   // in pieces, and read but not given back as room yet
	read   int   // of these, read
	err    error // what follows the pieces; nil: it has not come yet
}

func newBody(l *link, number int64) *body {
	b := &body{link: l, number: number}
	b.more = sync.NewCond(&b.mu)
	return b
}

// add is the link's reader's.
func (b *body) add(piece []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(piece) == 0 || len(piece) > windowBytes-b.bytes {
		return fmt.Errorf("%w piece of a body: %d bytes, there is room for %d", peer.ErrMalformed, len(piece), windowBytes-b.bytes)
	}
	b.pieces = append(b.pieces, piece)
	b.bytes += len(piece)
	b.more.Signal()
	return nil
}

// finish: nothing is missing.
func (b *body) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = io.EOF
	b.more.Broadcast()
}

// fail ends the body early. It is called with the link's mutex held.
func (b *body) fail(reason error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.pieces = reason, nil
	b.more.Broadcast()
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, room, err := b.take(p)
	if room > 0 {
		b.link.sendRoom(b.number, room)
	}
	return n, err
}

// take waits for a piece. room is what the sender may be told.
func (b *body) take(p []byte) (n, room int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.pieces) == 0 && b.err == nil {
		b.more.Wait()
	}
	if len(b.pieces) == 0 {
		return 0, 0, b.err
	}
	n = copy(p, b.pieces[0])
	if b.pieces[0] = b.pieces[0][n:]; len(b.pieces[0]) == 0 {
		b.pieces[0] = nil
		b.pieces = b.pieces[1:]
	}
	b.read += n
	if b.err == nil && b.read >= windowBytes/4 {
		room, b.bytes, b.read = b.read, b.bytes-b.read, 0
	}
	return n, room, nil
}

// sendRoom tells the sender of a body that it may go on.
func (l *link) sendRoom(number int64, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isUp() {
		return
	}
	if b := l.extend(roomSize); b != nil {
		*b = appendRoom(*b, number, n)
	}
}
