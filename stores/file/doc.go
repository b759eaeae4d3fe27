// Package file is the default log store: segments of fixed size that are overwritten in place, every record checksummed and chained to the one before it.
//
// Stages: Append encodes a group into one buffer and writes it at the end of the current segment; Sync is one fdatasync; a full segment is
// followed by the next one, which was filled with zeros beforehand, a new file or a recycled one, so that the hot path never extends a file.
//
// Goroutines: at most one, started by kick in prepare.go, fills the next segment and the reserve; the store waits for it in Close.
// All else runs on the caller's goroutines. mu guards what both sides and readers touch; see Store.
//
// Files of the package, from the bytes upwards:
//
//	layout.go   the bytes of a segment, drawn above their encoder
//	walk.go     reading a segment group by group, torn or damaged
//	state.go    the file "state": the protocol's durable words and what the log knows of itself, twice
//	store.go    the store: options, append, sync, the words, close
//	open.go     opening: an empty log, or what recovery has found, cut and cleaned up
//	recovery.go which segments count, torn tail or damage
//	prepare.go  segments made ready ahead of their use, the reserve
//	cut.go      truncate, reset, purge
//	read.go     reading beside append
//	inspect.go  verify and dump for operators
//	salvage.go  what operators keep of a damaged log
//
// Files on disk, in the directory "log" below the log directory:
//
//	segment.N   N in 8 hex digits. Never reused as a name; a recycled file gets a new one
//	state       two equal copies of the words and of the log's own notes
//	reserve     room that only truncate and reset may use, for a full disk; without it no append gets another segment
//	LOCK        held while a process has the log open
//	*.tmp       unfinished; removed at open
//
// # Which segments count
//
// The header of a segment names the segment before it and the checksum chain there. The newest valid header therefore names the whole log, back to
// the first segment that the state names or to a header that starts a log. So writing one header commits a truncate or a reset:
// its segment names a shorter past (or none), and what it passes over is no longer part of the log.
//
// # Torn tail or damage
//
// Each group and each segment header carries the highest zxid that was known synced when it was written; so does the state. Where reading fails after zxid Z,
// everything that can still be read behind it is searched for such a note. A note above Z: synced records are gone, this is damage, and opening fails
// with a *kernel.CorruptError. No such note: a torn tail; it is cut and reported. Opening and closing write an empty group whose note is the end of
// the log, so that between two runs any failure to read is damage.
package file
