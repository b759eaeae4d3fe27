package inspect

import (
	"fmt"
	"os"
	"os/user"
	"runtime"
)

// Environment lists what the word envi prints: the keys that tools know, with what a Go program can say.
func Environment() [][2]string {
	name, home := "", ""
	if u, err := user.Current(); err == nil {
		name, home = u.Username, u.HomeDir
	}
	dir, _ := os.Getwd()
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	mb := func(n uint64) string { return fmt.Sprintf("%dMB", n>>20) }
	return [][2]string{
		{"zookeeper.version", Version()}, {"host.name", host},
		{"java.version", runtime.Version()}, {"java.vendor", "none (Go)"}, {"java.home", ""}, {"java.class.path", ""}, {"java.library.path", ""},
		{"java.io.tmpdir", os.TempDir()}, {"java.compiler", runtime.Compiler},
		{"os.name", runtime.GOOS}, {"os.arch", runtime.GOARCH}, {"os.version", ""},
		{"user.name", name}, {"user.home", home}, {"user.dir", dir},
		{"os.memory.free", mb(m.HeapIdle - m.HeapReleased)}, {"os.memory.max", mb(m.Sys)}, {"os.memory.total", mb(m.Sys)},
	}
}
