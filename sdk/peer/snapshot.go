package peer

import (
	"bufio"
	"encoding/binary"
	"io"
)

// SnapshotSignature ends a snapshot on the quorum port, as a string.
const SnapshotSignature = "BenWasHere"

// AppendSnapshotSignature appends what follows the last byte of a snapshot behind SNAP.
func AppendSnapshotSignature(dst []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(SnapshotSignature))), SnapshotSignature...)
}

// SnapshotReader passes a snapshot on that follows SNAP without a length (spec peer-wire-and-disk, 3.4, 6.3 to 6.5), and finds its end:
//
//	sessions   i32 count, count times { i64 id, i32 time-out }
//	ACLs       i32 count, count times { i64 key, vector of { i32 perms, string scheme, string id } }
//	nodes      { string path, buffer data, i64 ACL key, 60 bytes of Stat }, and string "/"
//	signature  string "BenWasHere", which is not passed on
//
// It is followed as far as lengths and counts go; what they hold is the state machine's to judge. Its own memory is a few words, whatever the lengths say.
// At the end of the signature Read gives io.EOF and the stream stands at the first byte of the next packet. A stream that ends before is io.ErrUnexpectedEOF, and one that is no snapshot
// an error that wraps ErrMalformed; then the connection is of no more use. It is for one goroutine.
type SnapshotReader struct {
	r    *bufio.Reader
	skip int64 // bytes to pass on before the next field that decides
	want int   // length of that field
	next func(*SnapshotReader, []byte) error
	acls int32 // lists left in the table
	left int32 // items left of a list
	err  error
}

// NewSnapshotReader reads the snapshot that begins at r's next byte.
func NewSnapshotReader(r *bufio.Reader) *SnapshotReader {
	return &SnapshotReader{r: r, want: 4, next: (*SnapshotReader).sessions}
}

// Read implements io.Reader.
func (s *SnapshotReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && s.err == nil {
		if s.skip > 0 {
			if n > 0 && s.r.Buffered() == 0 {
				break // what there is goes first
			}
			got, err := s.r.Read(p[n:min(int64(len(p)), int64(n)+s.skip)])
			n += got
			s.skip -= int64(got)
			s.err = unexpected(err)
			continue
		}
		if n > 0 && s.r.Buffered() < s.want {
			break
		}
		field, err := s.r.Peek(s.want)
		if err != nil {
			s.err = unexpected(err)
			break
		}
		if s.next == nil {
			s.err = s.end(field)
			break
		}
		s.skip = int64(s.want) // the field itself, and what it announces
		s.err = s.next(s, field)
	}
	if n > 0 {
		return n, nil
	}
	return 0, s.err
}

// field is the next one that decides.
func (s *SnapshotReader) field(want int, next func(*SnapshotReader, []byte) error) {
	s.want, s.next = want, next
}

// count reads the length of something; null counts as 0 where it may stand.
func count(b []byte, mayBeNull bool, what string) (int32, error) {
	n := int32(binary.BigEndian.Uint32(b))
	if n == -1 && mayBeNull {
		return 0, nil
	}
	if n < 0 {
		return 0, malformed("snapshot: %s of length %d", what, n)
	}
	return n, nil
}

func (s *SnapshotReader) sessions(b []byte) error {
	n, err := count(b, false, "sessions")
	s.skip += int64(n) * (8 + 4)
	s.field(4, (*SnapshotReader).lists)
	return err
}

func (s *SnapshotReader) lists(b []byte) (err error) {
	s.acls, err = count(b, false, "ACL table")
	s.nextList()
	return err
}

func (s *SnapshotReader) nextList() {
	if s.acls == 0 {
		s.field(4, (*SnapshotReader).path)
		return
	}
	s.acls--
	s.field(8+4, (*SnapshotReader).list)
}

func (s *SnapshotReader) list(b []byte) (err error) {
	s.left, err = count(b[8:], true, "ACL")
	s.nextItem()
	return err
}

func (s *SnapshotReader) nextItem() {
	if s.left == 0 {
		s.nextList()
		return
	}
	s.left--
	s.field(4+4, (*SnapshotReader).scheme)
}

func (s *SnapshotReader) scheme(b []byte) error {
	n, err := count(b[4:], true, "ACL scheme")
	s.skip += int64(n)
	s.field(4, (*SnapshotReader).id)
	return err
}

func (s *SnapshotReader) id(b []byte) error {
	n, err := count(b, true, "ACL id")
	s.skip += int64(n)
	s.nextItem()
	return err
}

func (s *SnapshotReader) path(b []byte) error {
	n, err := count(b, false, "path")
	if n == 1 {
		s.field(1, (*SnapshotReader).slash)
		return err
	}
	s.skip += int64(n)
	s.field(4, (*SnapshotReader).data)
	return err
}

// slash: the only path of one character is the one that ends the nodes.
func (s *SnapshotReader) slash(b []byte) error {
	if b[0] != '/' {
		return malformed("snapshot: path %q", b)
	}
	s.field(4+len(SnapshotSignature), nil)
	return nil
}

func (s *SnapshotReader) data(b []byte) error {
	n, err := count(b, true, "data")
	s.skip += int64(n) + 8 + 60
	s.field(4, (*SnapshotReader).path)
	return err
}

// end takes the signature out of the stream.
func (s *SnapshotReader) end(b []byte) error {
	if binary.BigEndian.Uint32(b) != uint32(len(SnapshotSignature)) || string(b[4:]) != SnapshotSignature {
		return malformed("snapshot: signature %q", b)
	}
	if _, err := s.r.Discard(len(b)); err != nil {
		return err
	}
	return io.EOF
}
