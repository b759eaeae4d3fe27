package shell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/zooid-project/zooid/sdk/client"
	"github.com/zooid-project/zooid/sdk/wire"
)

// Exit codes (spec server-surface, 5.1).
const (
	ExitOK      = 0
	ExitFailed  = 1
	ExitUsage   = 2
	ExitUnknown = 127
)

// errQuit ends the interactive loop.
var errQuit = errors.New("quit")

// Shell runs commands against one session at a time. Its methods are for one goroutine; watches print from their own.
type Shell struct {
	Servers string        // connect string
	Timeout time.Duration // for each command
	JSON    bool          // print results and errors as JSON objects, one a line
	Version string        // of this program
	// Connect opens a session.
	Connect func(ctx context.Context, servers string) (Client, error)

	client       Client
	session      int64 // of client, as of the last command
	history      []string
	printWatches bool

	watching context.Context // ends with Close
	stop     context.CancelFunc
	watchers sync.WaitGroup
	watches  []*armed
	mu       sync.Mutex // guards the writers and watches
	out, err io.Writer
}

// New returns a shell that prints results to out, and errors and notices to errOut. Nothing is connected yet.
func New(out, errOut io.Writer) *Shell {
	sh := &Shell{Servers: "localhost:2181", Timeout: 30 * time.Second, printWatches: true, out: out, err: errOut}
	sh.watching, sh.stop = context.WithCancel(context.Background())
	return sh
}

// Close ends the session and all watches.
func (sh *Shell) Close() {
	sh.stop()
	sh.closeSession()
	sh.watchers.Wait()
}

func (sh *Shell) closeSession() {
	if sh.client == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	_ = sh.client.Close(ctx) // if the server does not answer, the session ends by its time-out
	sh.client = nil
	sh.mu.Lock()
	sh.watches = nil
	sh.mu.Unlock()
}

// connect opens a session unless there is one.
func (sh *Shell) connect(ctx context.Context) error {
	if sh.client != nil {
		return nil
	}
	c, err := sh.Connect(ctx, sh.Servers)
	if err != nil {
		return fmt.Errorf("cannot connect to %s: %w", sh.Servers, err)
	}
	sh.client, sh.session = c, c.State().SessionID
	return nil
}

// tellLoss says that the session has ended and the client has another one: what belonged to the old one is gone, and nothing else would show it.
func (sh *Shell) tellLoss() {
	if sh.client == nil {
		return
	}
	s := sh.client.State()
	if s.SessionID == sh.session || s.State == client.Lost || s.State == client.Connecting { // said once there is a new one
		return
	}
	sh.notice("Session 0x%x has expired; its ephemeral nodes are gone. This is session 0x%x.", uint64(sh.session), uint64(s.SessionID))
	sh.session = s.SessionID
}

// Run executes one command and returns its exit code. What went wrong has then been printed.
func (sh *Shell) Run(ctx context.Context, words []string) int {
	err := sh.execute(ctx, words)
	switch {
	case err == nil, errors.Is(err, errQuit):
		return ExitOK
	}
	return sh.report(err)
}

// unknownError is a command that does not exist.
type unknownError struct{ name string }

func (e *unknownError) Error() string { return "Command not found: Command not found " + e.name }

// commandError is a failure with the path that messages name.
type commandError struct {
	path string
	err  error
}

func (e *commandError) Error() string { return message(e.err, e.path) }
func (e *commandError) Unwrap() error { return e.err }

func (sh *Shell) execute(ctx context.Context, words []string) error {
	if len(words) == 0 {
		return nil
	}
	c, ok := findCommand(words[0])
	if !ok {
		return &unknownError{words[0]}
	}
	a, err := c.parse(words[1:])
	if err != nil {
		return fmt.Errorf("%w\nusage: %s %s", err, c.name, c.usage)
	}
	bounded, cancel := context.WithTimeout(ctx, sh.Timeout)
	defer cancel()
	if !c.offline {
		if err := sh.connect(bounded); err != nil {
			return err
		}
	}
	defer sh.tellLoss()
	if c.walks == "*" || a.has(c.walks) {
		return c.run(ctx, sh, a)
	}
	return c.run(bounded, sh, a)
}

// report prints an error and returns the exit code that goes with it.
func (sh *Shell) report(err error) int {
	code := ExitFailed
	var usage *usageError
	var unknown *unknownError
	switch {
	case errors.As(err, &usage):
		code = ExitUsage
	case errors.As(err, &unknown):
		code = ExitUnknown
	}
	if sh.JSON {
		object := struct {
			Error   string `json:"error"`
			Message string `json:"message"`
			Path    string `json:"path,omitempty"`
		}{Error: "FAILED", Message: err.Error()}
		var answer wire.ErrorCode
		if errors.As(err, &answer) {
			object.Error = answer.Name()
		} else if code == ExitUsage {
			object.Error = "USAGE"
		} else if code == ExitUnknown {
			object.Error = "UNKNOWNCOMMAND"
		}
		var at *commandError
		if errors.As(err, &at) {
			object.Path = at.path
		}
		text, _ := json.Marshal(object) // a struct of strings
		sh.notice("%s", text)
		return code
	}
	sh.notice("%s", err.Error())
	if code == ExitUnknown {
		sh.notice("%s", commandList())
	}
	return code
}

// commandList lists the commands on few lines.
func commandList() string {
	var b strings.Builder
	b.WriteString("commands:")
	for _, c := range commands {
		b.WriteString("\n\t" + strings.TrimSpace(c.name+" "+c.usage))
	}
	return b.String()
}

// print writes a line of results.
func (sh *Shell) print(format string, args ...any) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	fmt.Fprintf(sh.out, format+"\n", args...)
}

// notice writes a line that is no result.
func (sh *Shell) notice(format string, args ...any) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	fmt.Fprintf(sh.err, format+"\n", args...)
}

// object prints a result as JSON.
func (sh *Shell) object(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	sh.print("%s", text)
	return nil
}

// at says which path an error is about; nil stays nil.
func at(path string, err error) error {
	if err == nil {
		return nil
	}
	return &commandError{path, err}
}

// checkPath refuses what no server has to be asked about.
func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return &usageError{fmt.Sprintf("%q is no path: it does not start with a slash", path)}
	}
	if path != "/" && strings.HasSuffix(path, "/") {
		return &usageError{fmt.Sprintf("%q is no path: it ends in a slash", path)}
	}
	return nil
}
