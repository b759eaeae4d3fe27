package shell

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/zooid-project/zooid/sdk/client"
)

// Interactive reads commands until quit or the end of the input, and returns the exit code of the last one. On a terminal it edits lines, keeps a history and completes with Tab.
func (sh *Shell) Interactive(ctx context.Context, in io.Reader) int {
	sh.notice("Connecting to %s", sh.Servers)
	connecting, cancel := context.WithTimeout(ctx, sh.Timeout)
	if err := sh.connect(connecting); err != nil {
		sh.report(err)
	}
	cancel()
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return sh.readLines(ctx, in)
	}
	return sh.readTerminal(ctx, file)
}

func (sh *Shell) readLines(ctx context.Context, in io.Reader) int {
	code := ExitOK
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var quit bool
		if code, quit = sh.line(ctx, lines.Text(), code); quit {
			return code
		}
	}
	if err := lines.Err(); err != nil {
		return sh.report(err)
	}
	return code
}

// line runs one line of input; an empty one leaves the code as it was.
func (sh *Shell) line(ctx context.Context, text string, last int) (code int, quit bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return last, false
	}
	words, err := Words(text)
	if err != nil {
		return sh.report(&usageError{err.Error()}), false
	}
	sh.history = append(sh.history, text)
	err = sh.execute(ctx, words)
	switch {
	case errors.Is(err, errQuit):
		return last, true
	case err != nil:
		return sh.report(err), false
	}
	return ExitOK, false
}

func (sh *Shell) readTerminal(ctx context.Context, file *os.File) int {
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return sh.report(err)
	}
	defer term.Restore(int(file.Fd()), before)
	terminal := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{file, os.Stdout}, "")
	terminal.AutoCompleteCallback = sh.complete
	sh.mu.Lock()
	out, errOut := sh.out, sh.err
	sh.out, sh.err = terminal, terminal // raw mode: only the terminal knows where its prompt is
	sh.mu.Unlock()
	defer func() {
		sh.mu.Lock()
		sh.out, sh.err = out, errOut
		sh.mu.Unlock()
	}()
	sh.print("Welcome to ZooKeeper! This is zooid; help lists commands, Tab completes.")
	code := ExitOK
	for {
		// The window may have changed; one without a size keeps the terminal's assumption.
		if width, height, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			_ = terminal.SetSize(width, height)
		}
		terminal.SetPrompt(sh.prompt())
		text, err := terminal.ReadLine()
		if err != nil {
			return code
		}
		var quit bool
		if code, quit = sh.line(ctx, text, code); quit {
			return code
		}
	}
}

func (sh *Shell) prompt() string {
	state := "CLOSED"
	if sh.client != nil {
		switch sh.client.State().State {
		case client.Connected:
			state = "CONNECTED"
		case client.ReadOnly:
			state = "CONNECTEDREADONLY"
		case client.AuthFailed:
			state = "AUTH_FAILED"
		case client.Connecting, client.Suspended, client.Lost:
			state = "CONNECTING"
		}
	}
	return fmt.Sprintf("[zk: %s(%s) %d] ", sh.Servers, state, len(sh.history))
}

// completionTimeout keeps Tab from hanging on a server that does not answer.
const completionTimeout = time.Second

// complete is called for every key; it completes the word at the cursor on Tab: the first word from the commands, a path from the server.
func (sh *Shell) complete(line string, pos int, key rune) (string, int, bool) {
	if key != '\t' {
		return "", 0, false
	}
	head := line[:pos]
	start := strings.LastIndexByte(head, ' ') + 1
	word := head[start:]
	var candidates []string
	switch {
	case strings.TrimSpace(head[:start]) == "":
		for _, name := range Names() {
			candidates = append(candidates, name+" ")
		}
	case strings.HasPrefix(word, "/") && sh.client != nil:
		candidates = sh.pathsLike(word)
	}
	candidates = slices.DeleteFunc(candidates, func(c string) bool { return !strings.HasPrefix(c, word) })
	if len(candidates) == 0 {
		return "", 0, false
	}
	slices.Sort(candidates)
	common := candidates[0]
	for _, c := range candidates[1:] {
		for !strings.HasPrefix(c, common) {
			common = common[:len(common)-1]
		}
	}
	common = strings.ToValidUTF8(common, "") // bytes that half a character shares
	if common == word && len(candidates) > 1 {
		sh.print("%s", strings.Join(candidates, "  "))
	}
	return line[:start] + common + line[pos:], start + len(common), true
}

// pathsLike lists the siblings of what word would name.
func (sh *Shell) pathsLike(word string) []string {
	parent := word[:strings.LastIndexByte(word, '/')]
	node := parent
	if node == "" {
		node = "/"
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	names, _, err := sh.client.Children(ctx, node)
	if err != nil {
		return nil
	}
	for i := range names {
		names[i] = parent + "/" + names[i]
	}
	return names
}
