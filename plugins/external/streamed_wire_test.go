package external

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/zooid-project/zooid/kernel"
)

// A log store behind gRPC. All calls of the store's one writer go over one bidirectional stream, in order:
//
//	host to plugin   operation(1) body
//	plugin to host   operation(1) code(1) first(8) last(8) durable(8) size(8) body
//
// Each request has one reply, and an append has a second one: the first says that the group was taken (or why not, which ErrNoSpace needs), the second, unasked,
// that it is durable, with the highest durable zxid. So a group commit costs one round trip, whatever its size, and Sync only waits.
// Reads have streams of their own, which may run beside the writer. Errors cross as codes, so that errors.Is and errors.As work on the other side.
//
// One process, and one connection, can serve several stores: every stream names its own in the metadata key "store".
//
// A stream that breaks is the end of the store: every call from then on is an error. Nothing is tried again on a new stream, since what was
// under way on the old one is unknown; the server opens a new process and recovers from what it finds there.

// operation is the first byte of every message.
type operation byte

const (
	opHello operation = iota // body of the reply: hello, as JSON
	opAppend
	opDurable // only as a reply: the second one to opAppend
	opTruncate
	opReset
	opPurge
	opWords
	opSaveWords
	opClose
)

// hello is what does not change while a store is open.
type hello struct {
	Guarantees kernel.LogGuarantees
	Recovered  *kernel.TornTail
}

// code is an error class that callers decide on.
type code byte

const (
	codeOK code = iota
	codeNoSpace
	codePurged
	codeOutOfOrder
	codeClosed
	codeCorrupt // body: kernel.CorruptError as JSON
	codeOther
)

var codes = map[code]error{codeNoSpace: kernel.ErrNoSpace, codePurged: kernel.ErrPurged, codeOutOfOrder: kernel.ErrOutOfOrder, codeClosed: kernel.ErrClosed}

// remoteError is an error of the plugin with what errors.Is finds in it.
type remoteError struct {
	text  string
	class error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.class }

// corruptText carries a CorruptError.
type corruptText struct {
	File   string
	Offset int64
	After  kernel.Zxid
	Reason string
}

func encodeError(err error) (code, []byte) {
	if err == nil {
		return codeOK, nil
	}
	var corrupt *kernel.CorruptError
	if errors.As(err, &corrupt) {
		body, _ := json.Marshal(corruptText{corrupt.File, corrupt.Offset, corrupt.After, corrupt.Err.Error()}) // plain fields: cannot fail
		return codeCorrupt, body
	}
	for c, class := range codes {
		if errors.Is(err, class) {
			return c, []byte(err.Error())
		}
	}
	return codeOther, []byte(err.Error())
}

func decodeError(c code, body []byte) error {
	switch c {
	case codeOK:
		return nil
	case codeCorrupt:
		var t corruptText
		if err := json.Unmarshal(body, &t); err != nil {
			return fmt.Errorf("the plugin reports damage that cannot be read: %w", err)
		}
		return &kernel.CorruptError{File: t.File, Offset: t.Offset, After: t.After, Err: errors.New(t.Reason)}
	}
	return &remoteError{text: string(body), class: codes[c]}
}

// appendRecords encodes records: zxid(8), length of meta, meta, length of data, data; lengths as varints.
func appendRecords(b []byte, records []kernel.Record) []byte {
	for _, r := range records {
		b = binary.BigEndian.AppendUint64(b, uint64(r.Zxid))
		b = append(binary.AppendUvarint(b, uint64(len(r.Meta))), r.Meta...)
		b = append(binary.AppendUvarint(b, uint64(len(r.Data))), r.Data...)
	}
	return b
}

var errBadMessage = errors.New("a message of the log plugin is damaged")

// decodeRecords yields records whose bytes point into b.
func decodeRecords(b []byte, yield func(kernel.Record) bool) error {
	field := func() ([]byte, bool) {
		length, n := binary.Uvarint(b)
		if n <= 0 || length > uint64(len(b)-n) {
			return nil, false
		}
		f := b[n : n+int(length) : n+int(length)]
		b = b[n+int(length):]
		return f, true
	}
	for len(b) > 0 {
		if len(b) < 8 {
			return errBadMessage
		}
		r := kernel.Record{Zxid: kernel.Zxid(binary.BigEndian.Uint64(b))}
		b = b[8:]
		meta, ok := field()
		if !ok {
			return errBadMessage
		}
		if len(meta) > 0 {
			r.Meta = meta
		}
		if r.Data, ok = field(); !ok {
			return errBadMessage
		}
		if !yield(r) {
			return nil
		}
	}
	return nil
}

// ---------------------------------------------------------------------------------------------------------------------------------------
// The service, by hand: two methods whose messages are plain bytes.

const serviceName = "zooid.LogStore"

var service = grpc.ServiceDesc{
	ServiceName: serviceName,
	HandlerType: (*any)(nil),
	Streams: []grpc.StreamDesc{
		{StreamName: "Write", ServerStreams: true, ClientStreams: true, Handler: func(s any, stream grpc.ServerStream) error { return s.(*logServer).serve(stream, (*servedLog).write) }},
		{StreamName: "Read", ServerStreams: true, Handler: func(s any, stream grpc.ServerStream) error { return s.(*logServer).serve(stream, (*servedLog).read) }},
	},
}

// messages is what both ends of a stream have.
type messages interface {
	SendMsg(m any) error
	RecvMsg(m any) error
}

func sendBytes(s messages, b []byte) error { return s.SendMsg(&wrapperspb.BytesValue{Value: b}) }

func receiveBytes(s messages) ([]byte, error) {
	var m wrapperspb.BytesValue
	err := s.RecvMsg(&m)
	return m.Value, err
}

// logPlugin makes both ends known to go-plugin.
type logPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	store kernel.LogStore // the plugin's end only
}

// onlyStore is the name of the store of a process that serves one.
const onlyStore = "log"

func (p *logPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	server := &logServer{}
	server.add(onlyStore, p.store)
	s.RegisterService(&service, server)
	return nil
}

func (p *logPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return openStreamed(conn, onlyStore)
}
