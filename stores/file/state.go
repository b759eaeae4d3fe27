package file

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// The file "state" holds two slots of equal size, the size of the file divided by two. Both hold the same after every save: slot 0 is written and
// synced, then slot 1. So a slot that cannot be read is an unfinished save (slot 0: the other still has the old state) or damage, and in
// either case the other slot is right. (spec zab, G1, S-80, S-85: one atomic record, and never a lower promise by accident.)
//
//	 0  8  "ZOOIDSTA"
//	 8  4  format version
//	12  4  bytes of the words; 0xffffffff: no words were ever saved
//	16  8  sequence: the slot with the higher one is newer
//	24  8  id of the log
//	32  8  generation: counts truncates and resets
//	40  8  zxid known synced in that generation
//	48  4  number of the first segment
//	52  4  run
//	56     words
//	..  4  CRC-32C of all before
const (
	stateMagic   = "ZOOIDSTA"
	stateHeader  = 56
	stateTrailer = 4
	noWords      = 0xffffffff
	minSlotSize  = 16 << 10
	maxWords     = 64 << 20
)

// state is what the log knows of itself besides the segments.
type state struct {
	sequence   uint64
	log        uint64
	generation uint64
	synced     kernel.Zxid
	first      uint32
	run        uint32
	words      []byte // nil: never saved
}

func (st *state) encode() []byte {
	b := make([]byte, stateHeader, stateHeader+len(st.words)+stateTrailer)
	copy(b, stateMagic)
	le.PutUint32(b[8:], Format)
	n := uint32(noWords)
	if st.words != nil {
		n = uint32(len(st.words))
	}
	le.PutUint32(b[12:], n)
	le.PutUint64(b[16:], st.sequence)
	le.PutUint64(b[24:], st.log)
	le.PutUint64(b[32:], st.generation)
	le.PutUint64(b[40:], uint64(st.synced))
	le.PutUint32(b[48:], st.first)
	le.PutUint32(b[52:], st.run)
	b = append(b, st.words...)
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errNoState = errors.New("no valid state")

// decodeState reads one slot. The words are a copy.
func decodeState(b []byte) (state, error) {
	var st state
	if len(b) < stateHeader+stateTrailer || string(b[:8]) != stateMagic {
		return st, errNoState
	}
	if v := le.Uint32(b[8:]); v != Format {
		return st, &VersionError{Version: v}
	}
	n := int64(le.Uint32(b[12:]))
	has := n != noWords
	if !has {
		n = 0
	}
	if n > int64(len(b))-stateHeader-stateTrailer {
		return st, errNoState
	}
	end := stateHeader + n
	if crc32.Checksum(b[:end], castagnoli) != le.Uint32(b[end:]) {
		return st, errNoState
	}
	st.sequence = le.Uint64(b[16:])
	st.log = le.Uint64(b[24:])
	st.generation = le.Uint64(b[32:])
	st.synced = kernel.Zxid(le.Uint64(b[40:]))
	st.first = le.Uint32(b[48:])
	st.run = le.Uint32(b[52:])
	if has {
		st.words = append([]byte{}, b[stateHeader:end]...)
	}
	return st, nil
}

// stateFile is the open file.
type stateFile struct {
	fs       vfs.FS
	dir      string
	path     string
	file     vfs.File
	slotSize int64
}

// openState reads the state. found is false when there is no file.
func openState(fs vfs.FS, dir string) (sf *stateFile, st state, found bool, err error) {
	sf = &stateFile{fs: fs, dir: dir, path: fs.PathJoin(dir, "state")}
	if _, err := fs.Stat(sf.path); err != nil {
		if oserror.IsNotExist(err) {
			return sf, st, false, nil
		}
		return nil, st, false, fmt.Errorf("look for %s: %w", sf.path, err)
	}
	if sf.file, err = fs.OpenReadWrite(sf.path, vfs.WriteCategoryUnspecified); err != nil {
		return nil, st, false, fmt.Errorf("open %s: %w", sf.path, err)
	}
	b, err := readAll(sf.file)
	if err == nil {
		sf.slotSize = int64(len(b)) / 2
		st, err = newestState(sf.path, b)
	}
	if err != nil {
		sf.close()
		return nil, st, false, err
	}
	return sf, st, true, nil
}

// newestState picks the valid slot with the highest sequence.
func newestState(path string, b []byte) (state, error) {
	var best state
	var version *VersionError
	found := false
	half := len(b) / 2
	for _, slot := range [][]byte{b[:half], b[half:]} {
		st, err := decodeState(slot)
		if errors.As(err, &version) {
			version.File = path
		}
		if err == nil && (!found || st.sequence > best.sequence) {
			best, found = st, true
		}
	}
	if found {
		return best, nil
	}
	if version != nil {
		return best, version
	}
	return best, &kernel.CorruptError{File: path, Err: errors.New("neither copy of the durable words can be read, and what this server has promised is not known. " +
		"Move its data and log directories away and let it copy everything from its peers")}
}

// save writes both slots. It is the only writer; the caller counts sequence up.
func (sf *stateFile) save(st *state) error {
	b := st.encode()
	if sf.file == nil || int64(len(b)) > sf.slotSize {
		return sf.rewrite(b)
	}
	for slot := range int64(2) {
		if _, err := sf.file.WriteAt(b, slot*sf.slotSize); err != nil {
			return fmt.Errorf("write %s: %w", sf.path, err)
		}
		if err := sf.file.SyncData(); err != nil {
			return fmt.Errorf("sync %s: %w", sf.path, err)
		}
	}
	return nil
}

// rewrite makes a new file whose slots have room for b.
func (sf *stateFile) rewrite(b []byte) error {
	slot := int64(minSlotSize)
	for slot < int64(len(b)) {
		slot *= 2
	}
	whole := make([]byte, 2*slot)
	copy(whole, b)
	copy(whole[slot:], b)
	tmp := sf.path + ".tmp"
	if err := writeFile(sf.fs, tmp, whole); err != nil {
		_ = sf.fs.Remove(tmp) // what is left is removed at open
		return err
	}
	if err := sf.fs.Rename(tmp, sf.path); err != nil {
		return fmt.Errorf("rename %s: %w", tmp, err)
	}
	if err := syncDir(sf.fs, sf.dir); err != nil {
		return err
	}
	sf.close()
	file, err := sf.fs.OpenReadWrite(sf.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("open %s: %w", sf.path, err)
	}
	sf.file, sf.slotSize = file, slot
	return nil
}

func (sf *stateFile) close() {
	if sf.file != nil {
		sf.file.Close()
		sf.file = nil
	}
}

// writeFile creates a file with this content, durable but for its name.
func writeFile(fs vfs.FS, path string, content []byte) error {
	file, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	if _, err = file.Write(content); err != nil {
		err = fmt.Errorf("write %s: %w", path, err)
	} else if err = file.Sync(); err != nil {
		err = fmt.Errorf("sync %s: %w", path, err)
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// syncDir makes the names in dir durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open directory %s: %w", dir, err)
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

func readAll(file vfs.File) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > 2*(maxWords+minSlotSize) {
		return nil, fmt.Errorf("%s has %d bytes, far more than a state may have", info.Name(), info.Size())
	}
	b := make([]byte, info.Size())
	n, err := file.ReadAt(b, 0)
	if err == io.EOF && n == len(b) {
		err = nil
	}
	return b[:n], err
}
