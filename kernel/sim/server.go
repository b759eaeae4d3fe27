package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/zooid-project/zooid/kernel"
)

// Boot is what a factory makes the parts of one start from.
type Boot struct {
	Env      kernel.Env // FS, directories, id, logger, clock, Fatal
	Nodes    *Nodes     // a node store that survives, for who wants one
	Ensemble kernel.Ensemble
	Seed     int64
}

// The actors of a server: its goroutines.
const (
	actLoop = iota
	actDisk
	actApply
	actBeside
	actTick
	actWake
	actFlush
	actGuest
	numActors
)

// Guest is what runs in a server's process beside its node: what speaks with clients.
type Guest interface {
	// Waits tells whether it has something to do; Turn does it.
	Waits() bool
	Turn()
	// Ended: the process is gone. silent: as by a power cut, nobody hears of it.
	Ended(silent bool)
}

// never is a time that does not come.
const never = time.Duration(1<<63 - 1)

// Server is one server of the world.
type Server struct {
	world     *World
	id        kernel.ServerID
	ensemble  kernel.Ensemble
	fs        *vfs.MemFS // what its disk holds
	nodes     nodesDisk  // ... of its node store
	disk      *disk      // of the present start
	transport *transport // of the present start

	// What the log holds on stable storage, as the watch saw it: from base on. appended is what no sync has confirmed.
	synced, appended []record
	base             kernel.Zxid
	once             []record    // what it had before its disk was emptied: it was counted by others
	restored         kernel.Zxid // a state from a peer that is in memory only
	words            []byte
	damage           damage
	// What is under way on the disk: after a crash in the middle the old or the new one is there.
	cutting     *kernel.Zxid // a truncation to, or a reset at
	resetting   bool
	savingWords []byte

	stepper *kernel.Stepper
	machine *watchedMachine
	log     *watchedLog
	guest   Guest

	snapshots kernel.SnapshotStore // nil: it has none
	flushes   bool                 // its machine writes its state to a store that survives
	closers   []func() error       // of parts that hold memory or goroutines
	starts    int
	due       [numActors]time.Duration // zero: not planned
	paused    bool
	slow      time.Duration // added to everything its disk does
	fatal     error
	ahead     time.Duration // its wall clock, of virtual time
	syncs     int           // of its disk, since the world began
	changing  bool          // it knows of a proposed configuration

	// For marks (marks.go).
	learning bool // it is being brought up
	replaced int  // how often its log was cut or replaced meanwhile
	wrote    bool // it has synced something since it started
}

func newServer(w *World, id kernel.ServerID, e kernel.Ensemble) *Server {
	s := &Server{world: w, id: id, ensemble: e, fs: vfs.NewCrashableMem()}
	s.nodes.wipe()
	return s
}

// ID is the server's id.
func (s *Server) ID() kernel.ServerID { return s.id }

// Up tells whether the process runs.
func (s *Server) Up() bool { return s.stepper != nil }

// Host is the running node; nil when the server is down.
func (s *Server) Host() kernel.Host {
	if s.stepper == nil {
		return nil
	}
	return s.stepper.Node()
}

// Serving tells whether clients are served.
func (s *Server) Serving() bool { return s.stepper != nil && s.stepper.Node().Status().Serving }

// Leading tells whether it is the established leader, as far as it knows.
func (s *Server) Leading() bool {
	return s.stepper != nil && s.Serving() && s.stepper.Node().Status().Role == kernel.Leading
}

// Start boots the server from what its disk holds. A server that cannot start stays down, and says why in the trace.
func (s *Server) Start() {
	if s.stepper != nil {
		return
	}
	w := s.world
	s.starts++
	s.fatal = nil
	s.learning, s.wrote, s.changing = false, false, false
	s.disk = &disk{syncs: &s.syncs}
	transport := w.network.join(s)
	env := kernel.Env{FS: s.disk.on(s.fs), DataDir: "/data", LogDir: "/data", Server: s.id, Logger: slog.New(&traceHandler{s, s.disk}), Auth: map[string]kernel.Authenticator{},
		Now: s.clock, Wall: s.wall, Refuse: func(error) {}}
	on := s.disk
	env.Fatal = func(err error) {
		if !on.off {
			s.fatal = err
		}
	}
	if s.damage.found != nil {
		s.setAside(s.damage.found)
		env.FS = s.disk.on(s.fs)
	}
	boot := Boot{Env: env, Nodes: s.nodes.open(s.disk), Ensemble: s.ensemble, Seed: w.rng.Int64()}
	parts, err := w.opt.Boot(boot)
	if s.damage.isDamage(err) {
		s.setAside(err)
		boot.Env.FS, boot.Nodes = s.disk.on(s.fs), s.nodes.open(s.disk)
		parts, err = w.opt.Boot(boot)
	}
	if err != nil {
		s.couldNotStart(err)
		return
	}
	s.machine = &watchedMachine{StateMachine: parts.Machine, server: s}
	s.log = &watchedLog{LogStore: parts.Log, server: s}
	s.closers = []func() error{parts.Machine.Close, parts.Log.Close}
	if parts.Nodes != nil {
		s.closers = append(s.closers, parts.Nodes.Close)
		s.flushes = parts.Nodes.Durable()
	}
	parts.Machine, parts.Log = s.machine, s.log
	if s.snapshots = parts.Snapshots; parts.Snapshots != nil {
		parts.Snapshots = &watchedSnapshots{SnapshotStore: parts.Snapshots, server: s}
	}
	parts.Election = &watchedElection{Election: parts.Election, server: s}
	parts.NewTransport = func(sink kernel.TransportSink) (kernel.Transport, error) {
		transport.sink = sink
		return transport, nil
	}
	cfg := kernel.NodeConfig{Self: s.id, Ensemble: s.ensemble, TickTime: w.opt.TickTime, Seed: w.rng.Int64(), Logger: env.Logger, Now: s.clock, Wall: s.wall, Cluster: kernel.ClusterID{byte(s.id)}, Repair: s.repair(), SnapshotEvery: w.opt.SnapshotEvery}
	if w.opt.Seed%2 == 0 {
		cfg.HistoryBytes = 1 << 10
	}
	cfg.Configured = func(inForce kernel.Ensemble, next *kernel.Ensemble) {
		s.ensemble = inForce // its configuration file, which a wipe leaves
		s.changing = next != nil
	}
	if s.stepper, err = kernel.NewStepper(cfg, parts); err == nil {
		err = s.stepper.Start()
	}
	if err != nil {
		s.stepper = nil
		s.couldNotStart(err)
		return
	}
	s.due = [numActors]time.Duration{actTick: w.now + w.between(0, w.opt.TickTime/2) + 1}
	s.readLog()
	if w.opt.Guest != nil {
		s.guest = w.opt.Guest(s)
	}
	w.watch.started(s)
	w.Logf("server %d starts, history to %s, state at %s", s.id, s.log.Last(), s.machine.Position())
	for _, other := range w.servers {
		if other != s && other.Leading() {
			w.reach(markLatePartner)
			break
		}
	}
}

func (s *Server) couldNotStart(err error) {
	s.world.network.leave(s, false)
	s.world.Fail("server %d cannot start: %v", s.id, err)
	s.fatal = err
	s.close()
}

// Words are the protocol's durable words as the log has confirmed them.
func (s *Server) Words() []byte { return s.words }

// StableEnd is the end of what the log has confirmed.
func (s *Server) StableEnd() kernel.Zxid { return s.stableEnd() }

// Syncs is how often the disk was asked to sync a file or a directory, since the world began. The node store's own flushes are not among them.
func (s *Server) Syncs() int { return s.syncs }

// Fatal is why the server gave up, nil if it did not.
func (s *Server) Fatal() error { return s.fatal }

// Kill ends the process; what it wrote stays in the page cache. Its peers see their connections reset.
func (s *Server) Kill() {
	if s.stepper == nil {
		return
	}
	s.world.Logf("server %d is killed", s.id)
	s.world.fault("kills")
	s.end(false)
}

// PowerOff cuts the power: of what was not synced any part may be lost, and no peer is told anything.
func (s *Server) PowerOff() {
	if s.stepper == nil {
		return
	}
	s.world.Logf("server %d loses power", s.id)
	s.world.fault("power cuts")
	if !s.wrote && len(s.synced) > 0 && s.Serving() {
		s.world.reach(markAcceptedUnwritten)
	}
	s.end(true)
	s.fs = crash(s.fs, s.world.rng)
}

// CutPowerIn cuts the power in the middle of the disk operation that is n operations away.
func (s *Server) CutPowerIn(n int) {
	if s.stepper != nil {
		s.disk.cutIn = n
	}
}

// FillDisk lets nothing grow on the disk any more, or lets it again.
func (s *Server) FillDisk(full bool) {
	if s.stepper != nil && s.disk.full != full {
		s.disk.full = full
		s.world.Logf("server %d: disk full: %v", s.id, full)
		if full {
			s.world.fault("full disks")
		}
	}
}

// calm takes back what is still to go wrong on the disk, and lets a process that stands still go on.
func (s *Server) calm() {
	if s.disk != nil {
		s.disk.cutIn, s.disk.broken = 0, nil
	}
	if s.paused {
		s.resume()
	}
}

// BreakSync lets the next sync fail.
func (s *Server) BreakSync() {
	if s.stepper != nil {
		s.world.Logf("server %d: the next sync fails", s.id)
		s.world.fault("failed syncs")
		s.disk.broken = errIO
	}
}

// Wipe empties the disk of a server that is down.
func (s *Server) Wipe() {
	s.world.Logf("server %d gets an empty disk", s.id)
	s.world.fault("wipes")
	s.fs = vfs.NewCrashableMem()
	s.nodes.wipe()
	s.once = append(s.once, s.synced...)
	s.synced, s.appended, s.words, s.base = nil, nil, nil, 0
	s.cutting, s.resetting, s.savingWords = nil, false, nil
	s.damage = damage{}
}

func (s *Server) end(silent bool) {
	s.stepper.Crash()
	s.disk.off = true
	s.stepper = nil
	s.paused = false
	s.world.network.leave(s, silent)
	s.nodes.crash(s.world.rng)
	if s.guest != nil {
		s.guest.Ended(silent)
		s.guest = nil
	}
	s.close()
}

// close gives back what the parts hold. The disk is off: nothing that they write on the way counts.
func (s *Server) close() {
	for _, c := range s.closers {
		_ = c() // errors are those of a disk that is off
	}
	s.closers = nil
}

// Pause stops the process for a while, as SIGSTOP does.
func (s *Server) Pause(d time.Duration) {
	if s.stepper == nil || s.paused {
		return
	}
	s.world.Logf("server %d stands still for %v", s.id, d)
	s.world.fault("pauses")
	s.paused = true
	start := s.starts
	s.world.After(d, func() {
		if s.starts == start && s.paused {
			s.resume()
		}
	})
}

func (s *Server) resume() {
	s.paused = false
	s.world.Logf("server %d goes on", s.id)
	s.world.network.resumed(s)
}

// Slow makes everything that the disk does take longer, until it is called with zero.
func (s *Server) Slow(d time.Duration) {
	s.slow = d
	if d > 0 {
		s.world.fault("slow disks")
	}
}

// next is the server's next turn: when, and of which actor.
func (s *Server) next() (time.Duration, int) {
	if s.stepper == nil || s.paused {
		return never, 0
	}
	s.plan()
	at, actor := never, 0
	for a, t := range s.due {
		if t != 0 && t < at {
			at, actor = t, a
		}
	}
	return at, actor
}

// plan gives every actor that has something to do and no turn yet a time for it.
func (s *Server) plan() {
	w := s.world
	set := func(actor int, waits bool, low, high time.Duration) {
		if waits && s.due[actor] == 0 {
			s.due[actor] = w.now + w.between(low, high) + 1
		}
	}
	set(actLoop, s.stepper.LoopWaits(), 0, 50*time.Microsecond)
	disk := s.slow
	if s.disk.full {
		disk += 50 * time.Millisecond // it is tried again and again
	}
	set(actDisk, s.stepper.DiskWaits(), 100*time.Microsecond+disk, 2*time.Millisecond+disk*2)
	set(actApply, s.stepper.ApplyWaits(), 0, 100*time.Microsecond)
	set(actBeside, s.stepper.BesideWaits(), 0, 500*time.Microsecond)
	set(actFlush, s.flushes, w.opt.TickTime/2, 4*w.opt.TickTime)
	set(actGuest, s.guest != nil && s.guest.Waits(), 0, 50*time.Microsecond)
	s.due[actWake] = 0
	if t := s.stepper.Wake(); !t.IsZero() {
		s.due[actWake] = max(t.Sub(epoch), w.now) + 1
	}
}

// run gives an actor its turn. A disk that loses power in the middle ends the server there.
func (s *Server) run(actor int) {
	s.due[actor] = 0
	defer func() {
		if r := recover(); r != nil {
			if r != errPowerCut {
				panic(fmt.Sprintf("server %d, %v: %v", s.id, s.world.now, r))
			}
			s.closers = nil // the parts stopped in the middle of something: they are left as they are
			s.world.Tally["power cuts inside the disk"]++
			if s.joining() {
				s.world.reach(markCutInSync)
			}
			s.PowerOff()
		}
	}()
	switch actor {
	case actLoop:
		s.stepper.Loop(false)
	case actDisk:
		s.stepper.Disk()
	case actApply:
		s.stepper.Apply()
	case actBeside:
		s.stepper.Beside()
	case actTick:
		s.due[actTick] = s.world.now + s.world.opt.TickTime/2
		s.stepper.Loop(true)
	case actWake:
		s.stepper.Loop(false)
	case actFlush:
		err := s.machine.Flush(context.Background())
		if err != nil && s.fatal == nil {
			s.fatal = err
		}
		if err == nil {
			s.world.watch.kept(s, "writes its state down", s.machine.Flushed())
		}
	case actGuest:
		s.guest.Turn()
	}
	s.checkFatal()
}

// checkFatal ends a server that has given up.
func (s *Server) checkFatal() {
	if s.stepper == nil {
		return
	}
	select {
	case err := <-s.stepper.Node().Fatal():
		s.fatal = err
	default:
	}
	if s.fatal != nil {
		s.world.Logf("server %d gives up: %v", s.id, s.fatal)
		s.world.Tally["gave up"]++
		s.world.reach(markDiskGaveUp)
		if s.damage.isDamage(s.fatal) {
			s.world.After(s.world.opt.TickTime, s.Start)
		} else if !errors.Is(s.fatal, errIO) {
			s.world.Fail("server %d gives up: %v", s.id, s.fatal)
		}
		s.end(false)
		s.fs = crash(s.fs, s.world.rng) // what a failed sync has left in the page cache never reaches the disk
	}
}
