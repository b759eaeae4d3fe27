package manifest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/zooid-project/zooid/kernel"
)

// WordsFile is the name, in the data directory, of the copy of the protocol's durable words.
const WordsFile = "words"

// Words is the copy of the protocol's durable words that lies beside the log: a server that has lost its log still knows what it has promised. It is overwritten in place, with one sync. A crash
// in the middle leaves one that cannot be read, which costs nothing, since the log has its own. Its methods are for one goroutine.
//
//	 0  8  "ZOOIDWRD"
//	 8  4  1
//	12  4  bytes of the words
//	16  8  id of the server
//	24     words
//	..  4  CRC-32C of all before
type Words struct {
	path   string
	server kernel.ServerID
	file   vfs.File
}

const (
	wordsMagic  = "ZOOIDWRD"
	wordsHeader = 24
	maxWords    = 64 << 20
)

var little = binary.LittleEndian

// OpenWords opens the copy of dataDir, or makes it. saved is what it holds for this server: nil if it holds nothing, or nothing that can be read.
func OpenWords(fs vfs.FS, dataDir string, server kernel.ServerID) (w *Words, saved []byte, err error) {
	path := fs.PathJoin(dataDir, WordsFile)
	b, err := read(fs, path)
	if err == nil {
		if id, text, err := decodeWords(b); err == nil && id == server {
			saved = text
		}
	} else if !oserror.IsNotExist(err) {
		return nil, nil, err
	}
	w = &Words{path: path, server: server}
	if w.file, err = fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified); err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := syncDir(fs, dataDir); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("sync directory %s: %w", dataDir, err), w.file.Close())
	}
	return w, saved, nil
}

// Save makes a copy of the words durable.
func (w *Words) Save(words []byte) error {
	if _, err := w.file.WriteAt(encodeWords(w.server, words), 0); err != nil {
		return fmt.Errorf("write %s: %w", w.path, err)
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", w.path, err)
	}
	return nil
}

// Close closes the file.
func (w *Words) Close() error { return w.file.Close() }

func encodeWords(server kernel.ServerID, words []byte) []byte {
	b := make([]byte, wordsHeader, wordsHeader+len(words)+4)
	copy(b, wordsMagic)
	little.PutUint32(b[8:], 1)
	little.PutUint32(b[12:], uint32(len(words)))
	little.PutUint64(b[16:], uint64(server))
	b = append(b, words...)
	return little.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errNoWords = errors.New("no words")

// decodeWords reads what encodeWords has written; what follows is of longer ones that were there before. words are never nil without an error.
func decodeWords(b []byte) (server kernel.ServerID, words []byte, err error) {
	if len(b) < wordsHeader+4 || string(b[:8]) != wordsMagic || little.Uint32(b[8:]) != 1 {
		return 0, nil, errNoWords
	}
	n := int64(little.Uint32(b[12:]))
	if n > int64(len(b)-wordsHeader-4) {
		return 0, nil, errNoWords
	}
	end := wordsHeader + n
	if crc32.Checksum(b[:end], castagnoli) != little.Uint32(b[end:]) {
		return 0, nil, errNoWords
	}
	return kernel.ServerID(little.Uint64(b[16:])), append([]byte{}, b[wordsHeader:end]...), nil
}
