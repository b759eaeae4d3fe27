package kernel

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

// A snapshot takes its time while somebody writes, and none when nobody does, or when the node stops.
func TestSnapshotsArePaced(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	stop := make(chan struct{})
	for name, c := range map[string]struct {
		rate    int
		writing bool
		least   time.Duration
	}{
		"others write":     {4 << 20, true, 230 * time.Millisecond}, // without the first piece
		"nobody writes":    {1, false, 0},
		"no time to spare": {1 << 40, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			writes := int64(0)
			p := &paced{w: &out, rate: c.rate, stop: stop, writes: func() int64 {
				if c.writing {
					writes++
				}
				return writes
			}}
			began := time.Now()
			n, err := p.Write(body)
			if took := time.Since(began); n != len(body) || err != nil || !bytes.Equal(out.Bytes(), body) || took < c.least {
				t.Errorf("%d bytes in %v, at least %v are due: %v", n, took, c.least, err)
			}
		})
	}
	close(stop)
	p := &paced{w: io.Discard, rate: 1, stop: stop, writes: func() int64 { return time.Now().UnixNano() }}
	if n, err := p.Write(body); n != pacedBytes || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("when the node stops: %d bytes, %v", n, err)
	}
}
