package memory

import (
	"io"
	"sync"
)

// chunkBytes is what a stream holds in memory at most.
const chunkBytes = 64 << 10

// stream carries a body: feed reads the sender's source in chunks, Read gives them to the receiver. It ends with io.EOF, or with the source's error,
// which takes the link down, or with the reason of a link that went down.
type stream struct {
	to     *end // the receiver's end
	source io.ReadCloser
	chunks chan []byte   // unbuffered: feed waits for the reader
	failed chan struct{} // closed by fail
	once   sync.Once
	reason error // set before failed is closed

	// The reader's own.
	rest []byte
	err  error
}

func newStream(to *end, source io.ReadCloser) *stream {
	return &stream{to: to, source: source, chunks: make(chan []byte), failed: make(chan struct{})}
}

// fail ends the stream from outside. It is called with the network's mutex held.
func (s *stream) fail(reason error) {
	s.once.Do(func() {
		s.reason = reason
		close(s.failed)
	})
}

// feed is the sender's goroutine for this stream.
func (s *stream) feed() {
	ended := make(chan struct{})
	closed := make(chan struct{})
	go func() { // lets a Read return that waits for more while the link is down
		defer close(closed)
		select {
		case <-s.failed:
		case <-ended:
		}
		s.source.Close()
	}()
	defer func() { <-closed }()
	defer close(ended)

	buffers := [2][]byte{make([]byte, chunkBytes), make([]byte, chunkBytes)} // one is read from while the other is filled
	for i := 0; ; i ^= 1 {
		n, err := s.source.Read(buffers[i])
		if n > 0 && !s.hand(buffers[i][:n]) {
			return
		}
		if err == io.EOF {
			close(s.chunks)
			return
		}
		if err != nil {
			s.breakLink(err)
			return
		}
	}
}

// hand gives a chunk to the reader, and returns false if the stream has failed.
func (s *stream) hand(chunk []byte) bool {
	select {
	case s.chunks <- chunk:
		return true
	case <-s.failed:
		return false
	}
}

// breakLink takes the link down because the source failed.
func (s *stream) breakLink(err error) {
	n := s.to.owner.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.to.down == nil {
		s.to.peer.takeDown(err)
	}
}

// Read is the receiver's.
func (s *stream) Read(b []byte) (int, error) {
	for len(s.rest) == 0 && s.err == nil {
		select {
		case <-s.failed: // even when a chunk is waiting: the link is down
			s.err = s.reason
			continue
		default:
		}
		select {
		case chunk, more := <-s.chunks:
			s.rest = chunk
			if !more {
				s.err = io.EOF
				s.finished()
			}
		case <-s.failed:
			s.err = s.reason
		}
	}
	if len(s.rest) > 0 {
		n := copy(b, s.rest)
		s.rest = s.rest[n:]
		return n, nil
	}
	return 0, s.err
}

// finished lets the messages behind the stream go on.
func (s *stream) finished() {
	n := s.to.owner.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.to.body == s {
		s.to.body = nil
		s.to.pass()
		s.to.schedule()
	}
}
