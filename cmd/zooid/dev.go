package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func newDevCommand() *cobra.Command {
	d := &devEnsemble{}
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run an ensemble on this machine, to try things out",
		Long: `Run an ensemble of several servers on 127.0.0.1, each a process of its own, and take commands from the terminal:

` + devHelp + `
The servers end with this command. Their data stays in the directory that it names; --dir goes on with one.`,
		Example: `  zooid dev --servers 3
  zooid dev --servers 5 --dir ./ensemble --port 2181`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			d.out = cmd.OutOrStdout()
			return d.run(ctx, cmd.InOrStdin())
		},
	}
	cmd.Flags().IntVar(&d.count, "servers", 3, "how many servers")
	cmd.Flags().IntVar(&d.port, "port", 0, "client port of the first server, the others follow (0: free ports)")
	cmd.Flags().StringVar(&d.dir, "dir", "", "directory for configurations, data and logs (default: a new one in the system's temporary directory)")
	cmd.Flags().IntVar(&d.tick, "tick", 2000, "tickTime in milliseconds")
	return cmd
}

const devHelp = `  status        who leads, who follows, what each has applied
  kill N        end server N at once, as kill -9 does
  stop N        end server N cleanly
  restart N     start server N (again)
  pause N       freeze server N (SIGSTOP); resume N goes on
  logs N        the last lines of server N's log
  quit          end all servers
`

// devEnsemble is an ensemble of processes. It is used by one goroutine.
type devEnsemble struct {
	count, port, tick int
	dir               string
	out               io.Writer
	servers           []*devServer
}

// devServer is one of them.
type devServer struct {
	id      int
	dir     string
	address string // for clients
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has ended
}

func (d *devEnsemble) run(ctx context.Context, in io.Reader) error {
	if d.count < 1 || d.count > 99 {
		return &exitError{code: exitUsage, err: fmt.Errorf("--servers %d: want 1 to 99", d.count)}
	}
	if err := d.prepare(); err != nil {
		return err
	}
	defer d.stopAll()
	for _, s := range d.servers {
		if err := d.start(s); err != nil {
			return err
		}
	}
	addresses := make([]string, len(d.servers))
	for i, s := range d.servers {
		addresses[i] = s.address
	}
	fmt.Fprintf(d.out, "%d servers, for clients: %s\nData and logs: %s\nCommands:\n%s", d.count, strings.Join(addresses, ","), d.dir, devHelp)
	lines := make(chan string)
	go func() { // ends with the input; a terminal's last read ends with the process
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, more := <-lines:
			if !more { // no terminal: the servers run until a signal comes
				fmt.Fprintln(d.out, "No more commands: the servers run until this process is interrupted.")
				<-ctx.Done()
				return nil
			}
			if over := d.command(line); over {
				return nil
			}
		}
	}
}

// prepare writes the configurations, or finds those of an earlier run.
func (d *devEnsemble) prepare() (err error) {
	if d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "zooid-dev-"); err != nil {
			return err
		}
	}
	if d.dir, err = filepath.Abs(d.dir); err != nil {
		return err
	}
	ports, err := freePorts(3 * d.count)
	if err != nil {
		return err
	}
	var members strings.Builder
	for i := range d.count {
		id, client := i+1, ports[i]
		if d.port != 0 {
			client = d.port + i
		}
		d.servers = append(d.servers, &devServer{id: id, dir: filepath.Join(d.dir, strconv.Itoa(id)), address: fmt.Sprintf("127.0.0.1:%d", client)})
		fmt.Fprintf(&members, "server.%d=127.0.0.1:%d:%d:participant;127.0.0.1:%d\n", id, ports[d.count+i], ports[2*d.count+i], client)
	}
	for _, s := range d.servers {
		data := filepath.Join(s.dir, "data")
		if err := os.MkdirAll(data, 0o755); err != nil {
			return err
		}
		lines := fmt.Sprintf("tickTime=%d\ninitLimit=10\nsyncLimit=5\ndataDir=%s\nadmin.enableServer=false\n4lw.commands.whitelist=*\n", d.tick, data)
		if d.count > 1 {
			lines += members.String()
		} else {
			lines += fmt.Sprintf("clientPort=%s\nclientPortAddress=127.0.0.1\n", s.address[strings.LastIndexByte(s.address, ':')+1:])
		}
		if err := os.WriteFile(filepath.Join(s.dir, "zoo.cfg"), []byte(lines), 0o644); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(data, "myid"), []byte(strconv.Itoa(s.id)+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// freePorts finds ports that nobody listens on. They lie below those that systems hand out by themselves: a connection of anybody's would take one of them while
// its server is away, and the server could not start again.
func freePorts(n int) ([]int, error) {
	var ports []int
	var err error
	for range 100 * n {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))); err != nil {
			continue
		}
		defer l.Close() // kept until all are found, so that none comes twice
		if ports = append(ports, l.Addr().(*net.TCPAddr).Port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("find %d free ports: %w", n, err)
}

func (d *devEnsemble) start(s *devServer) error {
	if s.running() {
		return fmt.Errorf("server %d runs already", s.id)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	s.cmd = exec.Command(self, "serve", filepath.Join(s.dir, "zoo.cfg"))
	s.cmd.Stdout, s.cmd.Stderr = log, log
	detach(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start server %d: %w", s.id, err)
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		_ = s.cmd.Wait() // how it ended stands in its log
	}()
	return nil
}

func (s *devServer) log() string { return filepath.Join(s.dir, "log") }

func (s *devServer) running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// signal sends one to a server that runs.
func (s *devServer) signal(sig os.Signal) error {
	if !s.running() {
		return fmt.Errorf("server %d does not run", s.id)
	}
	return s.cmd.Process.Signal(sig)
}

// devStopTimeout is how long a server may take to end cleanly.
const devStopTimeout = 15 * time.Second

func (s *devServer) stop() error {
	if err := s.signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = resumeProcess(s.cmd.Process) // one that is paused would never hear it
	select {
	case <-s.ended:
	case <-time.After(devStopTimeout):
		_ = s.cmd.Process.Kill()
		<-s.ended
		return fmt.Errorf("server %d did not end within %v and was killed", s.id, devStopTimeout)
	}
	return nil
}

// stopAll ends all at the same time. One after the other, the last leader would wait for a quorum that has gone, to give its leadership to.
func (d *devEnsemble) stopAll() {
	failed := make([]error, len(d.servers))
	var wg sync.WaitGroup
	for i, s := range d.servers {
		if s.running() {
			wg.Go(func() { failed[i] = s.stop() })
		}
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		fmt.Fprintln(d.out, err)
	}
}

// command carries out one line and says whether it was the last.
func (d *devEnsemble) command(line string) (over bool) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return false
	}
	switch words[0] {
	case "quit", "exit":
		return true
	case "help":
		fmt.Fprint(d.out, devHelp)
		return false
	case "status":
		d.status()
		return false
	}
	actions := map[string]func(*devServer) error{
		"kill":    func(s *devServer) error { return errors.Join(s.signal(os.Kill), s.wait()) },
		"stop":    (*devServer).stop,
		"restart": d.start,
		"pause":   func(s *devServer) error { return s.control(pauseProcess) },
		"resume":  func(s *devServer) error { return s.control(resumeProcess) },
		"logs":    d.tail,
	}
	action := actions[words[0]]
	id := 0
	if len(words) == 2 {
		id, _ = strconv.Atoi(words[1])
	}
	switch {
	case action == nil:
		fmt.Fprintf(d.out, "no such command: %s. There are:\n%s", words[0], devHelp)
	case id < 1 || id > len(d.servers):
		fmt.Fprintf(d.out, "%s needs a server: 1 to %d\n", words[0], len(d.servers))
	default:
		if err := action(d.servers[id-1]); err != nil {
			fmt.Fprintln(d.out, err)
		} else if words[0] != "logs" {
			fmt.Fprintf(d.out, "server %d: %s done\n", id, words[0])
		}
	}
	return false
}

// control sends what only some systems have.
func (s *devServer) control(do func(*os.Process) error) error {
	if !s.running() {
		return fmt.Errorf("server %d does not run", s.id)
	}
	return do(s.cmd.Process)
}

// wait returns when a process that was ended has gone.
func (s *devServer) wait() error {
	if s.ended != nil {
		<-s.ended
	}
	return nil
}

// status asks every server for srvr.
func (d *devEnsemble) status() {
	for _, s := range d.servers {
		text := "does not run"
		if s.running() {
			text = s.describe()
		}
		fmt.Fprintf(d.out, "server %d  %s  %s\n", s.id, s.address, text)
	}
}

func (s *devServer) describe() string {
	conn, err := net.DialTimeout("tcp", s.address, time.Second)
	if err != nil {
		return "runs, and does not listen yet"
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("srvr")); err != nil {
		return err.Error()
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "does not answer"
	}
	mode, zxid := "not serving: no leader", ""
	for _, line := range strings.Split(string(answer), "\n") {
		if v, ok := strings.CutPrefix(line, "Mode: "); ok {
			mode = v
		}
		if v, ok := strings.CutPrefix(line, "Zxid: "); ok {
			zxid = " " + v
		}
	}
	return mode + zxid
}

// tailBytes is how much of a log is shown.
const tailBytes = 4000

func (d *devEnsemble) tail(s *devServer) error {
	f, err := os.Open(s.log())
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tailBytes {
		if _, err := f.Seek(-tailBytes, io.SeekEnd); err != nil {
			return err
		}
		if _, err := bufio.NewReader(f).ReadString('\n'); err != nil {
			return err
		}
	}
	_, err = io.Copy(d.out, f)
	return err
}
