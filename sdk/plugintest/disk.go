package plugintest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sort"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is a disk in memory that does what disks do. It fails one operation, loses power after one, has a capacity, and flips bits. It counts every operation
// that changes it: create, write, sync, rename, remove, link, make a directory, sync a directory. It never damages anything that it was not told to.
//
// All methods may be called from any goroutine.
type Disk struct {
	vfs.FS // reads go straight through
	mem    *vfs.MemFS

	mu       sync.Mutex
	count    int
	trace    []string
	failAt   int
	failWith error
	failed   string
	cutAt    int
	clones   []*vfs.MemFS
	off      bool
	capacity int64
}

var (
	// ErrInjected is what the operation chosen by FailAt returns.
	ErrInjected = errors.New("injected failure")
	// ErrPowerOff is what everything returns after the power was cut.
	ErrPowerOff = errors.New("the power is off")
)

// NewDisk returns an empty disk that fails nothing and has no limit.
func NewDisk() *Disk { return DiskOn(vfs.NewCrashableMem()) }

// DiskOn is a disk with the content of mem, which must be crashable.
func DiskOn(mem *vfs.MemFS) *Disk {
	return &Disk{FS: mem, mem: mem, failAt: -1, cutAt: -1, capacity: -1}
}

// FailAt lets the operation with that number, from 0, fail with ErrInjected. A write that fails has written its first half.
func (d *Disk) FailAt(n int) { d.failAt, d.failWith = n, ErrInjected }

// CutAt cuts the power after the operation with that number. Everything later fails with ErrPowerOff. Clones has what the disk may hold then.
func (d *Disk) CutAt(n int) { d.cutAt = n }

// Cut cuts the power now.
func (d *Disk) Cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut()
}

// SetCapacity limits the bytes of all files together; less than 0 is no limit. A write over it fails with ENOSPC and writes nothing.
func (d *Disk) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = bytes
}

// Count is the number of operations so far.
func (d *Disk) Count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// Failed is the operation that FailAt has hit, "" before.
func (d *Disk) Failed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// Trace lists the last operations, for messages.
func (d *Disk) Trace() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.trace[max(0, len(d.trace)-25):], ", ")
}

// Clones are disks as they may be found after the power cut: with what was synced alone, with all, and with some of what was not synced. Nil before a cut.
func (d *Disk) Clones() []*vfs.MemFS {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clones
}

// Memory is the file system under the disk.
func (d *Disk) Memory() *vfs.MemFS { return d.mem }

func (d *Disk) cut() {
	if d.off {
		return
	}
	d.off = true
	d.clones = append(d.clones, d.mem.CrashClone(vfs.CrashCloneCfg{}))
	for i, percent := range []int{100, 50, 50, 80} {
		rng := rand.New(rand.NewPCG(uint64(d.count), uint64(i)))
		d.clones = append(d.clones, d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}))
	}
}

// do runs one operation with its faults. half, if there is one, is what a failing operation does before it fails. grow is what it may add to the disk.
func (d *Disk) do(op, path string, grow int64, half func(), whole func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off { // not noted: the trace ends with the last operation that had power
		return fmt.Errorf("%s %s: %w", op, path, ErrPowerOff)
	}
	n := d.count
	d.count++
	if len(d.trace) > 1000 {
		d.trace = append(d.trace[:0], d.trace[900:]...)
	}
	d.trace = append(d.trace, op+" "+path)
	if n == d.failAt {
		d.failed = op + " " + path
		if half != nil {
			half()
		}
		return d.failWith
	}
	if grow > 0 && d.capacity >= 0 && d.used("/")+grow > d.capacity {
		return &os.PathError{Op: op, Path: path, Err: syscall.ENOSPC}
	}
	err := whole()
	if n == d.cutAt {
		d.cut()
	}
	return err
}

// used is the size of all files below dir.
func (d *Disk) used(dir string) int64 {
	var sum int64
	names, _ := d.mem.List(dir)
	for _, name := range names {
		path := d.mem.PathJoin(dir, name)
		info, err := d.mem.Stat(path)
		switch {
		case err != nil:
		case info.IsDir():
			sum += d.used(path)
		default:
			sum += info.Size()
		}
	}
	return sum
}

// Used is the size of all files.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used("/")
}

// Files lists all files of mem below dir, sorted.
func Files(mem *vfs.MemFS, dir string) []string {
	names, _ := mem.List(dir)
	sort.Strings(names)
	var files []string
	for _, name := range names {
		path := mem.PathJoin(dir, name)
		if info, err := mem.Stat(path); err == nil && info.IsDir() {
			files = append(files, Files(mem, path)...)
		} else if err == nil {
			files = append(files, path)
		}
	}
	return files
}

// FlipBit flips one bit of a file, behind the back of whoever has it open. Bits are counted from the lowest of the first byte.
func FlipBit(mem *vfs.MemFS, path string, bit int64) error {
	f, err := mem.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], bit/8); err != nil && err != io.EOF {
		return err
	}
	b[0] ^= 1 << (bit % 8)
	if _, err := f.WriteAt(b[:], bit/8); err != nil {
		return err
	}
	return f.Sync()
}

// The operations of vfs.FS that change something.

func (d *Disk) Create(name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = d.do("create", name, 0, nil, func() error { f, err = d.mem.Create(name, category); return err })
	return d.wrap(name, f, err)
}

func (d *Disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, _ ...vfs.OpenOption) (f vfs.File, err error) {
	err = d.do("open", name, 0, nil, func() error { f, err = d.mem.OpenReadWrite(name, category); return err })
	return d.wrap(name, f, err)
}

func (d *Disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = d.do("reuse", oldname, 0, nil, func() error { f, err = d.mem.ReuseForWrite(oldname, newname, category); return err })
	return d.wrap(newname, f, err)
}

func (d *Disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.mem.OpenDir(name)
	return d.wrap(name, f, err)
}

func (d *Disk) Link(oldname, newname string) error {
	return d.do("link", oldname, 0, nil, func() error { return d.mem.Link(oldname, newname) })
}

func (d *Disk) Remove(name string) error {
	return d.do("remove", name, 0, nil, func() error { return d.mem.Remove(name) })
}

func (d *Disk) RemoveAll(name string) error {
	return d.do("remove all of", name, 0, nil, func() error { return d.mem.RemoveAll(name) })
}

func (d *Disk) Rename(oldname, newname string) error {
	return d.do("rename", oldname, 0, nil, func() error { return d.mem.Rename(oldname, newname) })
}

func (d *Disk) MkdirAll(dir string, perm os.FileMode) error {
	return d.do("make directory", dir, 0, nil, func() error { return d.mem.MkdirAll(dir, perm) })
}

// Unwrap returns nil, so that nobody goes around the faults.
func (d *Disk) Unwrap() vfs.FS { return nil }

func (d *Disk) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, disk: d, name: name}, nil
}

// diskFile is an open file of a Disk.
type diskFile struct {
	vfs.File
	disk *Disk
	name string
	pos  int64
}

func (f *diskFile) grows(end int64) int64 {
	if info, err := f.File.Stat(); err == nil {
		return max(0, end-info.Size())
	}
	return 0
}

func (f *diskFile) Write(p []byte) (n int, err error) {
	half := func() { n, _ = f.File.Write(p[:len(p)/2]); f.pos += int64(n) }
	err = f.disk.do("write", f.name, f.grows(f.pos+int64(len(p))), half, func() error {
		n, err = f.File.Write(p)
		f.pos += int64(n)
		return err
	})
	return n, err
}

func (f *diskFile) WriteAt(p []byte, off int64) (n int, err error) {
	half := func() { n, _ = f.File.WriteAt(p[:len(p)/2], off) }
	err = f.disk.do("write", f.name, f.grows(off+int64(len(p))), half, func() error { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f *diskFile) Sync() error     { return f.disk.do("sync", f.name, 0, nil, f.File.Sync) }
func (f *diskFile) SyncData() error { return f.disk.do("sync", f.name, 0, nil, f.File.SyncData) }
