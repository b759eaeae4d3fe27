package zookeeper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"
)

// scripted is a socket that yields given pieces.
type scripted struct {
	net.Conn
	pieces [][]byte
}

func (s *scripted) Read(b []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

// cut reads all frames that come out of pieces.
func cut(pieces [][]byte, max, discard int) (frames [][]byte, oversized []bool, in *input, err error) {
	in = &input{}
	in.init(&scripted{pieces: pieces}, nil, &budget{limit: 64 << 20})
	for {
		for {
			payload, over, ok, e := in.frame(max, discard)
			if e != nil {
				return frames, oversized, in, e
			}
			if !ok {
				break
			}
			frames = append(frames, bytes.Clone(payload))
			oversized = append(oversized, over)
		}
		if e := in.fill(); e != nil {
			return frames, oversized, in, e
		}
	}
}

// However the bytes are cut into reads, the same frames come out.
func TestFramesDoNotDependOnReads(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const limit = 40000
	noise := make([]byte, 4*limit)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for range 300 {
		var stream []byte
		var want [][]byte
		for range r.IntN(20) {
			n := r.IntN(30)
			switch r.IntN(8) {
			case 0:
				n = r.IntN(limit)
			case 1:
				n = limit + 1 + r.IntN(limit)
			}
			at := r.IntN(len(noise) - n)
			payload := noise[at : at+n]
			stream = binary.BigEndian.AppendUint32(stream, uint32(n))
			stream = append(stream, payload...)
			if n > limit {
				payload = payload[:requestHeaderSize]
			}
			want = append(want, payload)
		}
		var pieces [][]byte
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(1+r.IntN(20000)))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		got, over, in, err := cut(pieces, limit, 10*limit)
		if err != io.EOF {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d frames, want %d", len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) || over[i] != (len(want[i]) == requestHeaderSize && over[i]) {
				t.Fatalf("frame %d differs", i)
			}
		}
		in.release()
		if used := in.budget.used.Load(); used != 0 {
			t.Fatalf("%d bytes stay on the budget", used)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 7, 0, 0, 0, 0}, uint8(3))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint8(1))
	f.Add([]byte("GET / HTTP/1.1\r\n"), uint8(200))
	f.Add(append([]byte{0, 0, 1, 0}, make([]byte, 300)...), uint8(7))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		var pieces [][]byte
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), int(size)+1)
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		frames, over, in, err := cut(pieces, 200, 1000)
		if err == nil {
			t.Fatal("the end was not noticed")
		}
		total := 0
		for i, p := range frames {
			if len(p) > 200 || (over[i] && len(p) != requestHeaderSize) {
				t.Fatalf("frame of %d bytes", len(p))
			}
			total += 4 + len(p)
		}
		if total > len(stream) || len(in.buf) > 2*readSize {
			t.Fatalf("%d bytes of frames and a buffer of %d out of %d bytes", total, len(in.buf), len(stream))
		}
	})
}

// FuzzConnection sends anything to a served connection: it is answered or closed, and nothing else breaks.
func FuzzConnection(f *testing.F) {
	f.Add([]byte{0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 11})
	f.Add([]byte{0, 0, 0, 13, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 0, 1})
	f.Add([]byte{0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 14, 1})
	n := newFakeNode(f)
	g := startGateway(f, n, nil)
	f.Fuzz(func(t *testing.T, b []byte) {
		conn, err := net.DialTimeout("tcp", clientAddr(g), 5*time.Second)
		if err != nil {
			if errors.Is(err, syscall.ECONNREFUSED) {
				t.Fatal("the gateway is gone: ", err)
			}
			t.Skip("no more ports: ", err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		connect := append([]byte{0, 0, 0, 44}, make([]byte, 44)...)
		binary.BigEndian.PutUint32(connect[4+24:], 16)
		conn.Write(append(connect, b...))
		conn.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, conn); err != nil && bytes.Contains([]byte(err.Error()), []byte("timeout")) {
			t.Fatal("the connection hangs")
		}
	})
}
