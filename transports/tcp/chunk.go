package tcp

import (
	"encoding/binary"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/jute"
	"github.com/zooid-project/zooid/sdk/peer"
)

// Bodies travel between servers of Zooid in packets of type STREAM. The packet's zxid is the body's number, given by its sender and rising on a link; the payload begins with a byte:
//
//	0 open    i32 type | i64 zxid | bool null payload | payload: the message that the body belongs to; the identities are the packet's
//	1 piece   bytes of the body
//	2 end     nothing: the body is complete
//	3 room    i32 bytes: from the receiver, that it has read so many more
const (
	chunkOpen byte = iota
	chunkPiece
	chunkEnd
	chunkRoom
)

const (
	emptyPacket = 4 + 8 + 4 + 4
	openHead    = 1 + 4 + 8 + 1
	endSize     = emptyPacket + 1
	roomSize    = emptyPacket + 1 + 4
)

func openSize(m *kernel.Message) int { return peer.PacketSize(m) + openHead }
func pieceSize(n int) int            { return emptyPacket + 1 + n }

func appendOpen(dst []byte, number int64, m *kernel.Message) []byte {
	payload := make([]byte, 0, openHead+len(m.Payload))
	payload = append(payload, chunkOpen)
	payload = jute.AppendInt32(payload, m.Type)
	payload = jute.AppendInt64(payload, int64(m.Zxid))
	payload = jute.AppendBool(payload, m.Payload == nil)
	payload = append(payload, m.Payload...)
	return peer.AppendPacket(dst, &kernel.Message{Type: peer.Stream, Zxid: kernel.Zxid(number), Payload: payload, Identities: m.Identities})
}

// chunkHead appends what stands before n bytes of a chunk.
func chunkHead(dst []byte, number int64, kind byte, n int) []byte {
	dst = jute.AppendInt32(dst, peer.Stream)
	dst = jute.AppendInt64(dst, number)
	dst = jute.AppendInt32(dst, int32(1+n))
	return append(dst, kind)
}

func appendPiece(dst []byte, number int64, data []byte) []byte {
	dst = chunkHead(dst, number, chunkPiece, len(data))
	return jute.AppendInt32(append(dst, data...), -1)
}

func appendEnd(dst []byte, number int64) []byte {
	return jute.AppendInt32(chunkHead(dst, number, chunkEnd, 0), -1)
}

func appendRoom(dst []byte, number int64, n int) []byte {
	dst = chunkHead(dst, number, chunkRoom, 4)
	return jute.AppendInt32(jute.AppendInt32(dst, int32(n)), -1)
}

// decodeOpen reads the message that a body belongs to.
func decodeOpen(packet *kernel.Message) (kernel.Message, error) {
	d := jute.NewDecoder(packet.Payload[1:])
	m := kernel.Message{Type: d.Int32(), Zxid: kernel.Zxid(d.Int64()), Identities: packet.Identities}
	null := d.Bool()
	if d.Err() != nil || null && d.Remaining() > 0 || m.Type == peer.Stream {
		return kernel.Message{}, fmt.Errorf("%w opening of a body: %d bytes, type %d", peer.ErrMalformed, len(packet.Payload), m.Type)
	}
	if !null {
		m.Payload = d.Rest()
	}
	return m, nil
}

// chunk takes a packet of type STREAM.
func (l *link) chunk(packet *kernel.Message) error {
	if len(packet.Payload) == 0 {
		return fmt.Errorf("%w piece of a body: it is empty", peer.ErrMalformed)
	}
	number, kind, rest := int64(packet.Zxid), packet.Payload[0], packet.Payload[1:]
	switch kind {
	case chunkOpen:
		m, err := decodeOpen(packet)
		if err != nil {
			return err
		}
		b, err := l.openBody(number)
		if err != nil {
			return err
		}
		m.Body = b
		return l.deliver(m)
	case chunkRoom:
		if len(rest) != 4 {
			return fmt.Errorf("%w room for a body", peer.ErrMalformed)
		}
		return l.giveCredit(number, int32(binary.BigEndian.Uint32(rest)))
	case chunkPiece, chunkEnd:
		l.mu.Lock()
		b := l.bodies[number]
		if kind == chunkEnd {
			delete(l.bodies, number)
		}
		l.mu.Unlock()
		if b == nil {
			return fmt.Errorf("%w piece of a body: number %d is not open", peer.ErrMalformed, number)
		}
		if kind == chunkEnd {
			b.finish()
			return nil
		}
		return b.add(rest)
	}
	return fmt.Errorf("%w piece of a body: kind %d", peer.ErrMalformed, kind)
}

// openBody begins a body that comes in pieces.
func (l *link) openBody(number int64) (*body, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return nil, l.down
	}
	if len(l.bodies) == maxBodies || l.bodies[number] != nil {
		return nil, fmt.Errorf("%w opening of a body: number %d beside %d others", peer.ErrMalformed, number, len(l.bodies))
	}
	b := newBody(l, number)
	l.bodies[number] = b
	return b, nil
}
