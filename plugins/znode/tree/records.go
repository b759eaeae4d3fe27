package tree

// records is a list that grows by whole chunks: to grow one slice under the lock would copy megabytes there, and let whoever grows it pay for all of them to the garbage collector.
type records struct{ chunks [][]record }

const chunkRecords = 512

func (r *records) len() int {
	if n := len(r.chunks); n > 0 {
		return (n-1)*chunkRecords + len(r.chunks[n-1])
	}
	return 0
}

func (r *records) at(i uint32) *record { return &r.chunks[i/chunkRecords][i%chunkRecords] }

func (r *records) add(one record) {
	last := len(r.chunks) - 1
	if last < 0 || len(r.chunks[last]) == chunkRecords {
		r.chunks = append(r.chunks, make([]record, 0, chunkRecords))
		last++
	}
	r.chunks[last] = append(r.chunks[last], one)
}
