package snapshot

import (
	"errors"
	"fmt"
	"io"

	"github.com/zooid-project/zooid/kernel"
)

// Open streams a snapshot. Each frame is checked before its bytes are handed out, the trailer before io.EOF.
func (s *Store) Open(info kernel.SnapshotInfo) (io.ReadCloser, error) {
	path := s.fs.PathJoin(s.dir, fileName(info.Zxid))
	f, err := s.fs.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &reader{frames: frames{r: f}, closer: f, path: path, zxid: info.Zxid}, nil
}

// reader gives errors their file.
type reader struct {
	frames
	closer  io.Closer
	path    string
	zxid    kernel.Zxid // that the trailer must name
	anyZxid bool
	err     error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.frames.Read(p)
	if err == io.EOF && r.frames.zxid != r.zxid && !r.anyZxid {
		err = fmt.Errorf("the file holds the snapshot at %v", r.frames.zxid)
	}
	var version *VersionError
	switch {
	case err == nil || err == io.EOF:
	case errors.As(err, &version):
		version.File = r.path
	case errors.Is(err, errDisk):
		err = fmt.Errorf("read %s: %w", r.path, err)
	default:
		err = &kernel.CorruptError{File: r.path, Offset: r.off, Err: fmt.Errorf("%w; a snapshot is used as a whole or not at all", err)}
	}
	r.err = err
	return n, err
}

func (r *reader) Close() error { return r.closer.Close() }

// errDisk marks errors that say nothing about what is on the disk.
var errDisk = errors.New("the disk failed")

// frames decodes a snapshot file.
type frames struct {
	r       io.Reader
	off     int64 // of the frame at hand
	started bool
	chain   uint32
	buf     []byte
	rest    []byte // of the frame, not handed out yet
	content uint64
	zxid    kernel.Zxid // once the trailer was read
}

func (f *frames) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// next reads a frame. It allocates one frame at most, whatever the file says.
func (f *frames) next() error {
	if !f.started {
		var head [headerSize]byte
		if err := f.fill(head[:]); err != nil {
			return err
		}
		chain, err := decodeHeader(head[:])
		if err != nil {
			return err
		}
		f.started, f.chain, f.off = true, chain, headerSize
	}
	if f.buf == nil {
		f.buf = make([]byte, frameHeader+maxFrame)
	}
	if err := f.fill(f.buf[:frameHeader]); err != nil {
		return err
	}
	size := le.Uint32(f.buf)
	if size == 0 {
		return f.end()
	}
	if size > maxFrame {
		return fmt.Errorf("a frame of %d bytes is larger than %d", size, maxFrame)
	}
	b := f.buf[:frameHeader+size]
	if err := f.fill(b[frameHeader:]); err != nil {
		return err
	}
	chain := frameChain(b[:4], b[frameHeader:], f.chain)
	if chain != le.Uint32(b[4:]) {
		return errFrame
	}
	f.chain = chain
	f.off += int64(len(b))
	f.content += uint64(size)
	f.rest = b[frameHeader:]
	return nil
}

// end reads the trailer, and io.EOF behind it.
func (f *frames) end() error {
	b := f.buf[:trailerSize]
	if err := f.fill(b[frameHeader:]); err != nil {
		return err
	}
	zxid, content, err := decodeTrailer(b, &f.chain)
	if err != nil {
		return err
	}
	if content != f.content {
		return fmt.Errorf("the trailer says %d bytes, the frames have %d", content, f.content)
	}
	var one [1]byte
	if n, err := f.r.Read(one[:]); n != 0 || err != io.EOF {
		return errors.New("something follows the trailer")
	}
	f.zxid = zxid
	return io.EOF
}

func (f *frames) fill(b []byte) error {
	_, err := io.ReadFull(f.r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.New("the file ends too early")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errDisk, err)
	}
	return nil
}
