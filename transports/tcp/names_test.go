package tcp

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/zooid-project/zooid/kernel"
	"github.com/zooid-project/zooid/sdk/plugintest"
)

// nameServer answers every question for an IPv4 address with the one that is set; none is set: there is no such name.
type nameServer struct {
	conn    net.PacketConn
	address atomic.Pointer[net.IP]
}

// askNames makes the tests of this process ask s, until t ends.
func askNames(t *testing.T) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if answer := s.answer(b[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from) // who asked asks again
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		conn.Close()
		<-ended
	})
	return s
}

// answer repeats the question, with an address behind it if there is one (RFC 1035, 4.1).
func (s *nameServer) answer(query []byte) []byte {
	const header, ofQuestion, noSuchName, addressRecord = 12, 4, 3, 1
	end := header
	for end < len(query) && query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 1 + ofQuestion
	if end > len(query) {
		return nil
	}
	b := append([]byte(nil), query[:end]...)
	flags, answers := uint16(0x8180), uint16(0)
	address := s.address.Load()
	kind := binary.BigEndian.Uint16(query[end-ofQuestion:])
	switch {
	case address == nil:
		flags |= noSuchName
	case kind == addressRecord:
		answers = 1
		b = append(b, 0xc0, header, 0, addressRecord, 0, 1, 0, 0, 0, 60, 0, 4)
		b = append(b, address.To4()...)
	}
	binary.BigEndian.PutUint16(b[2:], flags)
	binary.BigEndian.PutUint16(b[4:], 1)
	binary.BigEndian.PutUint16(b[6:], answers)
	binary.BigEndian.PutUint32(b[8:], 0)
	return b
}

// A peer's name is looked up at every dial: one that is not known yet, or leads to where the peer was before, is followed as soon as it is right. The server need not be told.
func TestNamesAreLookedUpAtEveryDial(t *testing.T) {
	names := askNames(t)
	two := listening(t, Settings{}, 2)[0]
	sink := plugintest.NewSink(t)
	one := New(1, sink, patient(Settings{}), logger(t))
	defer one.Close()
	one.Configure([]kernel.Member{{ID: 2, Voter: true, Text: fmt.Sprintf("two.zooid.test:%d:%d", port(t, two.quorum), port(t, two.election))}})

	sink.Down(one.Dial(2, kernel.ForBroadcast))
	elsewhere := net.IPv4(127, 0, 0, 9)
	names.address.Store(&elsewhere)
	sink.Down(one.Dial(2, kernel.ForBroadcast))
	here := net.IPv4(127, 0, 0, 1)
	names.address.Store(&here)
	link := one.Dial(2, kernel.ForBroadcast)
	if up := sink.NextUp(false); up != link {
		t.Fatalf("%v, want %v", up, link)
	}
}
