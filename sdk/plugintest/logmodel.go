package plugintest

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/zooid-project/zooid/kernel"
)

// logModel is a log too simple to be wrong, with what a crash may do to it. Its methods do the same to a store and to the model.
type logModel struct {
	store kernel.LogStore
	logState
	// pending is the other state that a crash may leave: set while an atomic operation is under way.
	pending *logState
}

// logState is what a log may hold: a stretch of records that begins at or before the first one above purged, and ends between synced and the end.
type logState struct {
	before  kernel.Zxid // where the log begins
	records []kernel.Record
	synced  int // so many of records are durable
	purged  kernel.Zxid
	words   []byte
}

func (s logState) last() kernel.Zxid {
	if n := len(s.records); n > 0 {
		return s.records[n-1].Zxid
	}
	return s.before
}

func (m *logModel) append(group ...kernel.Record) error {
	old := m.records
	m.records = append(m.records[:len(m.records):len(m.records)], group...)
	err := m.store.Append(group)
	if errors.Is(err, kernel.ErrNoSpace) {
		m.records = old
	}
	return err
}

func (m *logModel) sync() error {
	z, err := m.store.Sync()
	if err != nil {
		return err
	}
	if z != m.last() {
		return fmt.Errorf("Sync returned %v, the last record appended is %v", z, m.last())
	}
	m.synced = len(m.records)
	return nil
}

// change runs an atomic operation: until it returns, either state may be found.
func (m *logModel) change(to logState, op func() error) error {
	m.pending = &to
	err := op()
	if err == nil {
		m.logState, m.pending = to, nil
	} else if errors.Is(err, kernel.ErrNoSpace) {
		m.pending = nil
	}
	return err
}

func (m *logModel) truncate(to kernel.Zxid) error {
	next := m.logState
	n := 0
	for n < len(next.records) && next.records[n].Zxid <= to {
		n++
	}
	next.records, next.synced = next.records[:n:n], n
	return m.change(next, func() error { return m.store.Truncate(to) })
}

func (m *logModel) reset(base kernel.Zxid) error {
	return m.change(logState{before: base, words: m.words}, func() error { return m.store.Reset(base) })
}

func (m *logModel) saveWords(words []byte) error {
	next := m.logState
	next.words = append([]byte{}, words...)
	return m.change(next, func() error { return m.store.SaveWords(words) })
}

func (m *logModel) purge(upTo kernel.Zxid) error {
	m.purged = max(m.purged, min(upTo, m.last()))
	return m.store.Purge(upTo)
}

// content is what a store holds.
type content struct {
	first, last kernel.Zxid
	records     []kernel.Record
	words       []byte
}

func readContent(s kernel.LogStore) (content, error) {
	c := content{first: s.First(), last: s.Last()}
	var err error
	if c.words, err = s.Words(); err != nil {
		return c, fmt.Errorf("Words: %w", err)
	}
	err = s.Read(c.first, func(r kernel.Record) bool {
		c.records = append(c.records, kernel.Record{Zxid: r.Zxid, Meta: bytes.Clone(r.Meta), Data: bytes.Clone(r.Data)})
		return true
	})
	if err != nil && !(errors.Is(err, kernel.ErrPurged) && c.first == c.last) {
		return c, fmt.Errorf("Read: %w", err)
	}
	return c, nil
}

// check compares a store that was opened after a crash with both states. It then makes what it found the model's state.
func (m *logModel) check(s kernel.LogStore) error {
	c, err := readContent(s)
	if err != nil {
		return err
	}
	found, err := m.logState.admit(c)
	if err != nil && m.pending != nil {
		var other error
		if found, other = m.pending.admit(c); other != nil {
			return fmt.Errorf("neither the old state (%w) nor the new one (%w)", err, other)
		}
		err = nil
	}
	if err == nil {
		m.store, m.logState, m.pending = s, found, nil
	}
	return err
}

// exact compares a running store with the model.
func (m *logModel) exact() error {
	c, err := readContent(m.store)
	if err != nil {
		return err
	}
	s := m.logState
	s.synced = len(s.records)
	_, err = s.admit(c)
	return err
}

func (s logState) admit(c content) (found logState, err error) {
	if !bytes.Equal(s.words, c.words) || (s.words == nil) != (c.words == nil) {
		return found, fmt.Errorf("the words are %q, want %q", c.words, s.words)
	}
	if len(c.records) == 0 {
		if s.synced > 0 {
			return found, fmt.Errorf("the log is empty, but records up to %v are confirmed", s.records[s.synced-1].Zxid)
		}
		if c.first != s.before || c.last != s.before {
			return found, fmt.Errorf("the empty log goes from %v to %v, want %v", c.first, c.last, s.before)
		}
		return logState{before: s.before, words: s.words}, nil
	}
	start := -1
	for i, r := range s.records {
		if r.Zxid == c.records[0].Zxid {
			start = i
		}
	}
	if start < 0 {
		return found, fmt.Errorf("the log begins with %v, which is not in it", c.records[0].Zxid)
	}
	if end := start + len(c.records); end > len(s.records) || end < s.synced {
		return found, fmt.Errorf("the log ends with %v, with %d of %d records; %d are confirmed", c.last, end, len(s.records), s.synced)
	}
	if start > 0 && s.records[start-1].Zxid > s.purged {
		return found, fmt.Errorf("the log begins with %v, but was purged to %v only", c.records[0].Zxid, s.purged)
	}
	for i, r := range c.records {
		want := s.records[start+i]
		if r.Zxid != want.Zxid || !bytes.Equal(r.Meta, want.Meta) || !bytes.Equal(r.Data, want.Data) {
			return found, fmt.Errorf("the record at %v is another one than at %v", r.Zxid, want.Zxid)
		}
	}
	if c.first != c.records[0].Zxid || c.last != c.records[len(c.records)-1].Zxid {
		return found, fmt.Errorf("First and Last are %v and %v, the records go from %v to %v", c.first, c.last, c.records[0].Zxid, c.records[len(c.records)-1].Zxid)
	}
	found = s
	found.records = s.records[start : start+len(c.records) : start+len(c.records)]
	found.synced = len(found.records)
	if start > 0 {
		found.before = s.records[start-1].Zxid
	}
	return found, nil
}
