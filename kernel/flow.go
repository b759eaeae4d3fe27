package kernel

import "sync"

// flow bounds what peers can make this node hold. What a link has brought counts until it is dealt with: until the loop has taken it, and a request until it is prepared or passed on. So do transactions
// on their way to the disk or into the state, whoever brought them. Above a bound links are not read, so that the peer's own queue fills, and it waits or gives the link up; neither the loop nor the disk
// needs anything from a link to get on with what is there. Elections are never held up.
type flow struct {
	mu      sync.Mutex
	hold    func(link LinkID, hold bool) // the transport's
	links   map[LinkID]*inflow
	backlog int  // bytes of transactions on their way
	full    bool // backlog has passed its bound, and has not gone down to half of it
}

// inflow is one link's part.
type inflow struct {
	bytes int
	held  bool
}

const (
	linkBytes       = 16 << 20 // of what a link has brought, before it is held
	backlogBytes    = 64 << 20 // of transactions on their way, before all links are
	inputOverhead   = 256      // what an input or a transaction costs besides its bytes
	requestOverhead = 1 << 10  // and a request, which is decoded
)

// came counts what a link has brought.
func (f *flow) came(link LinkID, n int) {
	if link.Purpose == ForElection || f.hold == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.links[link]
	if l == nil {
		if f.links == nil {
			f.links = map[LinkID]*inflow{}
		}
		l = &inflow{}
		f.links[link] = l
	}
	l.bytes += n
	f.decide(link, l)
}

// went: some of what a link has brought is dealt with, or, less than nothing, turns out to be more work.
func (f *flow) went(link LinkID, n int) {
	if link == (LinkID{}) || f.hold == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.links[link]; l != nil {
		l.bytes -= n
		f.decide(link, l)
	}
}

// decide holds a link or lets it go on. mu is held.
func (f *flow) decide(link LinkID, l *inflow) {
	switch {
	case !l.held && (f.full || l.bytes > linkBytes):
		l.held = true
	case l.held && !f.full && l.bytes <= linkBytes/2:
		l.held = false
	default:
		return
	}
	f.hold(link, l.held)
}

// forget ends a link's part.
func (f *flow) forget(link LinkID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.links, link)
}

// carry changes the backlog.
func (f *flow) carry(n int) {
	if f.hold == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backlog += n
	if was := f.full; f.full {
		f.full = f.backlog > backlogBytes/2
	} else if f.full = f.backlog > backlogBytes; f.full == was {
		return
	}
	for link, l := range f.links {
		f.decide(link, l)
	}
}

// inputSize is what a message counts for.
func inputSize(m *Message) int { return inputOverhead + len(m.Payload) }

// requestSize is what a request of a peer counts for.
func requestSize(r *Request) int { return requestOverhead + len(r.Body) }

func recordsSize(records []Record) (n int) {
	for i := range records {
		n += inputOverhead + len(records[i].Data)
	}
	return n
}

func txnsSize(txns []Committed) (n int) {
	for i := range txns {
		n += inputOverhead + len(txns[i].Data)
	}
	return n
}
