package inspect

import "github.com/cockroachdb/pebble/v2/vfs"

// DirectorySize adds up the sizes of the files in and below a directory. What cannot be read counts nothing.
func DirectorySize(fs vfs.FS, dir string) int64 {
	if fs == nil || dir == "" {
		return 0
	}
	names, err := fs.List(dir)
	if err != nil {
		return 0
	}
	var total int64
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		switch {
		case err != nil:
		case info.IsDir():
			total += DirectorySize(fs, path)
		default:
			total += info.Size()
		}
	}
	return total
}
