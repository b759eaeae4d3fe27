package external

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/zooid-project/zooid/kernel"
)

// The host's end of a streamed log store (streamed_wire_test.go).

// streamedLog is a kernel.LogStore whose work is done in another process. It has no goroutine: its one writer sends and receives, and readers have their own streams.
type streamedLog struct {
	conn   *grpc.ClientConn
	name   string
	stream grpc.ClientStream
	cancel context.CancelFunc
	hello  hello
	failed error       // the writer's: what every call says after a failed sync or a lost stream
	gone   bool        // the writer's: the stream is lost
	synced kernel.Zxid // the writer's
	due    bool        // the writer's: the second reply to an append is still to come

	first, last, size atomic.Int64
	closed            atomic.Bool
}

var _ kernel.LogStore = (*streamedLog)(nil)

func openStreamed(conn *grpc.ClientConn, name string) (*streamedLog, error) {
	l := &streamedLog{conn: conn, name: name}
	ctx, cancel := l.context()
	l.cancel = cancel
	var err error
	if l.stream, err = conn.NewStream(ctx, &service.Streams[0], "/"+serviceName+"/Write"); err != nil {
		cancel()
		return nil, fmt.Errorf("log plugin: %w", err)
	}
	body, err := l.call(opHello, nil)
	if err == nil {
		err = json.Unmarshal(body, &l.hello)
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("log plugin: %w", err)
	}
	return l, nil
}

// context is that of a stream for this store.
func (l *streamedLog) context() (context.Context, context.CancelFunc) {
	return context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), storeKey, l.name))
}

// lost ends the store because the stream has ended.
func (l *streamedLog) lost(err error) error {
	l.failed = fmt.Errorf("the log plugin is gone, and with it what was not confirmed: %w", err)
	l.gone = true
	l.cancel()
	return l.failed
}

// receive takes the next reply. A failed sync is the end of the store as well.
func (l *streamedLog) receive() (operation, []byte, error) {
	b, err := receiveBytes(l.stream)
	if err == nil && len(b) < 2+4*8 {
		err = errBadMessage
	}
	if err != nil {
		return 0, nil, l.lost(err)
	}
	number := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[2+8*i:])) }
	l.first.Store(number(0))
	l.last.Store(number(1))
	l.synced = kernel.Zxid(number(2))
	l.size.Store(number(3))
	op := operation(b[0])
	err = decodeError(code(b[1]), b[2+4*8:])
	if op == opDurable {
		l.due = false
		if err != nil {
			l.failed = err
		}
	}
	return op, b[2+4*8:], err
}

// call sends one request and waits for its reply; one that was due before it comes first. A failure that it brings is reported here if it was not before, by Close too.
func (l *streamedLog) call(op operation, body []byte) ([]byte, error) {
	switch {
	case l.closed.Load():
		return nil, kernel.ErrClosed
	case l.gone || l.failed != nil && op != opClose:
		return nil, l.failed
	}
	reported := l.failed
	if err := sendBytes(l.stream, append([]byte{byte(op)}, body...)); err != nil {
		_, err = receiveBytes(l.stream) // gRPC tells the reason there
		return nil, l.lost(err)
	}
	for {
		answered, answer, err := l.receive()
		switch {
		case l.gone:
			return nil, l.failed
		case answered == opDurable: // the second reply to the append before; a failure is in l.failed
			continue
		case l.failed != reported:
			return nil, errors.Join(l.failed, err)
		}
		return answer, err
	}
}

func (l *streamedLog) Append(group []kernel.Record) error {
	_, err := l.call(opAppend, appendRecords(nil, group))
	l.due = err == nil
	return err
}

func (l *streamedLog) Sync() (kernel.Zxid, error) {
	switch {
	case l.closed.Load():
		return 0, kernel.ErrClosed
	case l.failed != nil:
		return 0, l.failed
	}
	if l.due {
		if _, _, err := l.receive(); err != nil {
			return 0, err
		}
	}
	return l.synced, nil
}

func (l *streamedLog) Read(from kernel.Zxid, yield func(kernel.Record) bool) error {
	if l.closed.Load() {
		return kernel.ErrClosed
	}
	ctx, cancel := l.context()
	defer cancel()
	stream, err := l.conn.NewStream(ctx, &service.Streams[1], "/"+serviceName+"/Read")
	if err == nil {
		if err = sendBytes(stream, binary.BigEndian.AppendUint64(nil, uint64(from))); err == nil {
			err = stream.CloseSend()
		}
	}
	if err != nil {
		return fmt.Errorf("log plugin: %w", err)
	}
	for {
		b, err := receiveBytes(stream)
		if err == nil && len(b) == 0 {
			err = errBadMessage
		}
		if err != nil { // io.EOF too: only a message without records ends a Read well
			return fmt.Errorf("log plugin: a read was cut: %w", err)
		}
		if len(b) == 1 || code(b[0]) != codeOK {
			return decodeError(code(b[0]), b[1:])
		}
		more := true
		if err := decodeRecords(b[1:], func(r kernel.Record) bool { more = yield(r); return more }); err != nil || !more {
			return err
		}
	}
}

func (l *streamedLog) at(op operation, z kernel.Zxid) error {
	_, err := l.call(op, binary.BigEndian.AppendUint64(nil, uint64(z)))
	return err
}

func (l *streamedLog) Truncate(to kernel.Zxid) error { return l.at(opTruncate, to) }
func (l *streamedLog) Reset(base kernel.Zxid) error  { return l.at(opReset, base) }
func (l *streamedLog) Purge(upTo kernel.Zxid) error  { return l.at(opPurge, upTo) }

func (l *streamedLog) Words() ([]byte, error) {
	words, err := l.call(opWords, nil)
	if err != nil || len(words) == 0 {
		return nil, err
	}
	return words[1:], nil
}

func (l *streamedLog) SaveWords(words []byte) error {
	_, err := l.call(opSaveWords, words)
	return err
}

func (l *streamedLog) First() kernel.Zxid               { return kernel.Zxid(l.first.Load()) }
func (l *streamedLog) Last() kernel.Zxid                { return kernel.Zxid(l.last.Load()) }
func (l *streamedLog) Size() int64                      { return l.size.Load() }
func (l *streamedLog) Guarantees() kernel.LogGuarantees { return l.hello.Guarantees }
func (l *streamedLog) Recovered() *kernel.TornTail      { return l.hello.Recovered }

func (l *streamedLog) Close() error {
	if l.closed.Load() {
		return nil
	}
	_, err := l.call(opClose, nil)
	l.closed.Store(true)
	l.cancel()
	return err
}
