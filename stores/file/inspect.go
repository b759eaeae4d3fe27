package file

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// This file lets operators look at a log. It only reads, takes no lock, and may run beside a server that uses the log: then the last group may look torn.

// Header describes a segment.
type Header struct {
	File       string
	Bytes      int64
	Number     uint32
	Previous   uint32 // 0: the log begins here
	Generation uint64
	Before     kernel.Zxid // last zxid before the segment, or the base of a reset
	Synced     kernel.Zxid // known synced when the segment was begun
	Run        uint32
}

// Entry is one thing found in a segment: a record, a group's header, or what cannot be read, which is the last one.
type Entry struct {
	Offset int64
	Record *kernel.Record // valid during the call; nil for a group's header and for what is bad
	Group  *Group         // set for a group's header
	Bad    string         // why reading ends here; empty for what is good
}

// Group is a group's header.
type Group struct {
	Bytes  uint32      // of the records that follow; 0: only a note of what is synced
	Synced kernel.Zxid // known synced when it was written
	Run    uint32      // which opening of the log wrote it
}

// Dump reads one segment file and yields its header, then its entries in order until yield says false. It returns an error when there is no valid header
// or the disk fails; a place that cannot be read is an Entry.
func Dump(fs vfs.FS, path string, begin func(Header), yield func(Entry) bool) error {
	f, h, size, err := openSegment(fs, path)
	if err != nil {
		return err
	}
	defer f.Close()
	begin(Header{File: path, Bytes: size, Number: h.number, Previous: h.prev, Generation: h.generation, Before: h.before, Synced: h.synced, Run: h.run})
	w := walker{file: f, size: size, number: h.number, off: groupsStart, chain: h.seed(), chained: true, last: h.before}
	for {
		at, inGroup := w.off, false
		g, err := w.next(func(off int64, r kernel.Record) bool {
			if !inGroup {
				inGroup = true
				if !yield(Entry{Offset: at, Group: w.groupAt(at)}) {
					return false
				}
			}
			return yield(Entry{Offset: off, Record: &r})
		})
		var bad *badError
		switch {
		case err == nil:
			if !inGroup && !yield(Entry{Offset: at, Group: &Group{g.size, g.synced, g.run}}) {
				return nil
			}
		case err == io.EOF || err == errStop:
			return nil
		case errors.As(err, &bad):
			yield(Entry{Offset: bad.offset, Bad: bad.what})
			return nil
		default:
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
}

// groupAt describes the group whose records are being yielded; its bytes are in the window.
func (w *walker) groupAt(off int64) *Group {
	b, err := w.bytes(off, groupSize)
	if err != nil {
		return &Group{}
	}
	g, _, _ := decodeGroup(b)
	return &Group{g.size, g.synced, g.run}
}

// openSegment opens a segment for reading and checks its header.
func openSegment(fs vfs.FS, path string) (vfs.File, header, int64, error) {
	h, err := readHeader(fs, path, make([]byte, groupsStart))
	if err == errNoHeader {
		return nil, h, 0, &kernel.CorruptError{File: path, Err: errors.New("it has no valid segment header: it was never used, is no segment, or is damaged")}
	}
	if err != nil {
		return nil, h, 0, err
	}
	f, err := fs.Open(path)
	if err != nil {
		return nil, h, 0, fmt.Errorf("open %s: %w", path, err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, h, 0, fmt.Errorf("stat %s: %w", path, err)
	}
	return f, h, info.Size(), nil
}

// WriteDump writes Dump as text, a line for each entry. describe renders a record's data and may be nil.
//
//	segment 3 after segment 2, generation 1, after zxid 0x1c, synced 0x1c, run 1, 65536 bytes
//	    4096 group of 1032 bytes, synced 0x1c, run 1
//	    4128 0x1d meta 0 data 1012 create /a
func WriteDump(fs vfs.FS, path string, out io.Writer, describe func(kernel.Record) string) error {
	var failed error
	line := func(format string, args ...any) bool {
		if failed == nil {
			_, failed = fmt.Fprintf(out, format+"\n", args...)
		}
		return failed == nil
	}
	err := Dump(fs, path, func(h Header) {
		after := "begins the log"
		if h.Previous != 0 {
			after = fmt.Sprintf("after segment %d", h.Previous)
		}
		line("segment %d %s, generation %d, after zxid %v, synced %v, run %d, %d bytes", h.Number, after, h.Generation, h.Before, h.Synced, h.Run, h.Bytes)
	}, func(e Entry) bool {
		switch {
		case e.Bad != "":
			return line("%8d BAD: %s", e.Offset, e.Bad)
		case e.Group != nil && e.Group.Bytes == 0:
			return line("%8d note: synced %v, run %d", e.Offset, e.Group.Synced, e.Group.Run)
		case e.Group != nil:
			return line("%8d group of %d bytes, synced %v, run %d", e.Offset, e.Group.Bytes, e.Group.Synced, e.Group.Run)
		}
		text := ""
		if describe != nil {
			text = " " + describe(*e.Record)
		}
		return line("%8d %v meta %d data %d%s", e.Offset, e.Record.Zxid, len(e.Record.Meta), len(e.Record.Data), text)
	})
	return errors.Join(err, failed)
}

// Verify checks one file of a log, or the whole log when path is its directory (that of the segments, or the one above), and writes what it found to out.
// Damage is a *kernel.CorruptError; a torn tail is no error, opening the log cuts it.
func Verify(fs vfs.FS, path string, out io.Writer) error {
	info, err := fs.Stat(path)
	if err != nil {
		return fmt.Errorf("look for %s: %w", path, err)
	}
	if info.IsDir() {
		if sub := fs.PathJoin(path, "log"); isDir(fs, sub) {
			path = sub
		}
		return verifyDir(fs, path, out)
	}
	if name := fs.PathBase(path); name == "state" {
		return verifyState(fs, path, out)
	}
	_, err = verifySegment(fs, path, out)
	return err
}

func isDir(fs vfs.FS, path string) bool {
	info, err := fs.Stat(path)
	return err == nil && info.IsDir()
}

func verifyState(fs vfs.FS, path string, out io.Writer) error {
	f, err := fs.Open(path)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer f.Close()
	b, err := readAll(f)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	st, err := newestState(path, b)
	if err != nil {
		return err
	}
	words := "no durable words"
	if st.words != nil {
		words = fmt.Sprintf("%d bytes of durable words", len(st.words))
	}
	_, err = fmt.Fprintf(out, "%s: %s, generation %d, first segment %d, synced %v, run %d\n", path, words, st.generation, st.first, st.synced, st.run)
	return err
}

// verifySegment reads a segment to its end. What cannot be read is damage if anything behind it says that more was synced.
func verifySegment(fs vfs.FS, path string, out io.Writer) (last kernel.Zxid, err error) {
	f, h, size, err := openSegment(fs, path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	g := (&blank{number: h.number, path: path, file: f, size: size}).segment(h)
	r := recovery{live: []*segment{g}}
	bad, err := r.walk(g)
	if err != nil {
		return 0, err
	}
	if bad != nil {
		r.cut = &cut{0, bad, groupSize}
	}
	if err := r.judge(); err != nil {
		return g.last, err
	}
	text := fmt.Sprintf("%s: zxid %v to %v, %d of %d bytes used, all checksums right", path, g.first, g.last, g.end, g.size)
	if g.first == 0 {
		text = fmt.Sprintf("%s: no records, goes on after zxid %v", path, g.last)
	}
	if bad != nil {
		text += fmt.Sprintf("; a torn tail from byte %d on, never synced (%s)", g.end, bad.what)
	}
	_, err = fmt.Fprintln(out, text)
	return g.last, err
}

// verifyDir goes over the log as opening it does, without changing anything.
func verifyDir(fs vfs.FS, dir string, out io.Writer) error {
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	s := &Store{fs: readOnly{fs}, dir: dir}
	s.done.L = &s.mu
	var kept []string
	for _, name := range names {
		if !isTemporary(name) {
			kept = append(kept, name)
		}
	}
	sort.Strings(kept)
	numbers, err := s.numbers(kept)
	if err != nil {
		return err
	}
	state := fs.PathJoin(dir, "state")
	if len(numbers) > 0 || contains(kept, "state") {
		if err := verifyState(fs, state, out); err != nil {
			return err
		}
	}
	if s.file, s.st, _, err = openState(s.fs, dir); err != nil {
		return err
	}
	defer s.file.close()
	r := recovery{s: s, headers: map[uint32]header{}, broken: map[uint32]bool{}}
	if err := r.readHeaders(numbers); err != nil {
		return err
	}
	live, err := r.choose()
	if err != nil {
		return err
	}
	if len(live) == 0 {
		_, err = fmt.Fprintf(out, "%s: the log was never used\n", dir)
		return err
	}
	defer func() {
		for _, g := range r.live {
			g.file.Close()
		}
	}()
	if err := r.read(live); err != nil {
		return err
	}
	var b strings.Builder
	for _, g := range r.live {
		fmt.Fprintf(&b, "%s: zxid %v to %v, %d of %d bytes used\n", g.path, g.first, g.last, g.end, g.size)
	}
	if r.cut != nil {
		fmt.Fprintf(&b, "%s: a torn tail from byte %d on, never synced (%s)\n", r.live[r.cut.segment].path, r.live[r.cut.segment].end, r.cut.bad.what)
	}
	fmt.Fprintf(&b, "%s: %d segments, all checksums right\n", dir, len(r.live))
	_, err = io.WriteString(out, b.String())
	return err
}

func contains(names []string, name string) bool {
	i := sort.SearchStrings(names, name)
	return i < len(names) && names[i] == name
}

// readOnly opens for reading what recovery opens for both, so that looking needs no right to write.
type readOnly struct{ vfs.FS }

func (r readOnly) OpenReadWrite(name string, _ vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return r.FS.Open(name, opts...)
}
