package inspect

import (
	"os"
	"runtime"
	"runtime/metrics"
)

// process reports what the operating system and the runtime know of this process.
func process(set func(name string, value float64)) {
	if open, limit, ok := descriptors(); ok {
		set("open_file_descriptor_count", open)
		set("max_file_descriptor_count", limit)
	}
	set("goroutines", float64(runtime.NumGoroutine()))
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}}
	metrics.Read(samples)
	set("heap_bytes", float64(samples[0].Value.Uint64()))
	set("memory_bytes", float64(samples[1].Value.Uint64()))
}

// countDir counts the entries of a directory of which there may be many.
func countDir(dir string) (int, error) {
	d, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	return len(names), err
}
