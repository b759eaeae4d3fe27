package external

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/zooid-project/zooid/kernel"
)

// The plugin's end of a streamed log store (streamed_wire_test.go).

// storeKey names a stream's store in its metadata.
const storeKey = "store"

// logServer serves stores by name.
type logServer struct {
	stores sync.Map // string to *servedLog
}

func (s *logServer) add(name string, store kernel.LogStore) {
	s.stores.Store(name, &servedLog{store: store})
}

func (s *logServer) serve(stream grpc.ServerStream, method func(*servedLog, messages) error) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	for _, name := range md.Get(storeKey) {
		if served, found := s.stores.Load(name); found {
			return method(served.(*servedLog), stream)
		}
	}
	return fmt.Errorf("there is no store %q in this process", md.Get(storeKey))
}

// servedLog is one store with one writer. Its goroutines are gRPC's, one for each stream.
type servedLog struct {
	store   kernel.LogStore
	durable kernel.Zxid // the writer's
}

func (s *servedLog) reply(stream messages, op operation, body []byte, err error) error {
	c, text := encodeError(err)
	if err != nil {
		body = text
	}
	b := []byte{byte(op), byte(c)}
	for _, n := range []int64{int64(s.store.First()), int64(s.store.Last()), int64(s.durable), s.store.Size()} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return sendBytes(stream, append(b, body...))
}

func (s *servedLog) write(stream messages) error {
	for {
		request, err := receiveBytes(stream)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(request) == 0 {
			return errBadMessage
		}
		op, body := operation(request[0]), request[1:]
		answer, err := s.do(op, body)
		if op == opHello || op == opTruncate || op == opReset { // what is there after these is durable
			s.durable = s.store.Last()
		}
		if sendErr := s.reply(stream, op, answer, err); sendErr != nil {
			return sendErr
		}
		if op == opAppend && err == nil {
			if s.durable, err = s.store.Sync(); err != nil {
				err = fmt.Errorf("sync: %w", err)
			}
			if sendErr := s.reply(stream, opDurable, nil, err); sendErr != nil {
				return sendErr
			}
		}
	}
}

func (s *servedLog) do(op operation, body []byte) ([]byte, error) {
	zxid := func() kernel.Zxid { return kernel.Zxid(binary.BigEndian.Uint64(body)) }
	if (op == opTruncate || op == opReset || op == opPurge) && len(body) != 8 {
		return nil, errBadMessage
	}
	switch op {
	case opHello:
		return json.Marshal(hello{s.store.Guarantees(), s.store.Recovered()})
	case opAppend:
		var group []kernel.Record
		if err := decodeRecords(body, func(r kernel.Record) bool { group = append(group, r); return true }); err != nil {
			return nil, err
		}
		return nil, s.store.Append(group)
	case opTruncate:
		return nil, s.store.Truncate(zxid())
	case opReset:
		return nil, s.store.Reset(zxid())
	case opPurge:
		return nil, s.store.Purge(zxid())
	case opWords:
		words, err := s.store.Words()
		if words != nil { // nil is not the same as empty
			words = append([]byte{1}, words...)
		}
		return words, err
	case opSaveWords:
		return nil, s.store.SaveWords(body)
	case opClose:
		return nil, s.store.Close()
	}
	return nil, fmt.Errorf("%w: operation %d", errBadMessage, op)
}

// readChunk is about how many bytes of records a message of Read has.
const readChunk = 256 << 10

// read answers with messages of code(1) and records; the last one has no records.
func (s *servedLog) read(stream messages) error {
	request, err := receiveBytes(stream)
	if err != nil {
		return err
	}
	if len(request) != 8 {
		return errBadMessage
	}
	chunk := []byte{byte(codeOK)}
	var sendErr error
	flush := func() bool {
		sendErr = sendBytes(stream, chunk)
		chunk = []byte{byte(codeOK)} // gRPC may keep what it was given
		return sendErr == nil
	}
	err = s.store.Read(kernel.Zxid(binary.BigEndian.Uint64(request)), func(r kernel.Record) bool {
		chunk = appendRecords(chunk, []kernel.Record{r})
		return len(chunk) < readChunk || flush()
	})
	if sendErr == nil && len(chunk) > 1 {
		flush()
	}
	if sendErr != nil {
		return sendErr
	}
	c, text := encodeError(err)
	return sendBytes(stream, append([]byte{byte(c)}, text...))
}
