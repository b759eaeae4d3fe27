package shell

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// command is one command of the shell.
type command struct {
	name     string
	usage    string // what follows the name
	doc      string
	flags    string // letters or names of flags without a value, with blanks between
	values   string // the same of flags with a value
	min, max int    // arguments besides flags
	offline  bool   // needs no session
	walks    string // with this flag ("*": always) the command visits a whole subtree and may take longer than the time-out
	run      func(ctx context.Context, sh *Shell, a *arguments) error
}

// commands is the table, in the order of usage. It is filled in by init because redo runs commands.
var commands []command

func init() {
	commands = slices.Concat(readCommands, writeCommands, watchCommands, quotaCommands, ensembleCommands, sessionCommands)
}

func findCommand(name string) (*command, bool) {
	for i := range commands {
		if commands[i].name == name {
			return &commands[i], true
		}
	}
	return nil, false
}

// Names are the names of all commands.
func Names() []string {
	out := make([]string, len(commands))
	for i := range commands {
		out[i] = commands[i].name
	}
	return out
}

// arguments are what followed a command's name.
type arguments struct {
	flags map[string][]string // by name without dash; a flag without a value has one empty one
	rest  []string
}

func (a *arguments) has(flag string) bool { _, ok := a.flags[flag]; return ok }

func (a *arguments) value(flag string) string {
	if v := a.flags[flag]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// arg returns the argument with this index, "" if there are fewer.
func (a *arguments) arg(i int) string {
	if i < len(a.rest) {
		return a.rest[i]
	}
	return ""
}

// version reads the value of -v, or any other flag with a version; -1 is any.
func (a *arguments) version(flag string) (int32, error) {
	if !a.has(flag) {
		return -1, nil
	}
	v, err := strconv.ParseInt(a.value(flag), 10, 32)
	if err != nil {
		return 0, &usageError{fmt.Sprintf("-%s %s: not a version", flag, a.value(flag))}
	}
	return int32(v), nil
}

// usageError is a command line that no server was asked about.
type usageError struct{ what string }

func (e *usageError) Error() string { return e.what }

// parse sorts words into flags and arguments. Flags may stand anywhere; several without a value may share a dash; what starts with a dash and a digit is an argument; -- ends the flags.
func (c *command) parse(words []string) (*arguments, error) {
	a := &arguments{flags: map[string][]string{}}
	plain, valued := strings.Fields(c.flags), strings.Fields(c.values)
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "--" {
			a.rest = append(a.rest, words[i+1:]...)
			break
		}
		if len(w) < 2 || w[0] != '-' || w[1] >= '0' && w[1] <= '9' {
			a.rest = append(a.rest, w)
			continue
		}
		name := strings.TrimLeft(w, "-")
		switch {
		case slices.Contains(plain, name):
			a.flags[name] = append(a.flags[name], "")
		case slices.Contains(valued, name):
			if i++; i == len(words) {
				return nil, &usageError{w + " needs a value"}
			}
			a.flags[name] = append(a.flags[name], words[i])
		case !strings.HasPrefix(w, "--") && allIn(name, plain):
			for _, letter := range name {
				a.flags[string(letter)] = []string{""}
			}
		default:
			return nil, &usageError{c.name + " has no flag " + w}
		}
	}
	if len(a.rest) < c.min {
		return nil, &usageError{"arguments are missing"}
	}
	if c.max >= 0 && len(a.rest) > c.max {
		return nil, &usageError{"too many arguments: " + strings.Join(a.rest[c.max:], " ")}
	}
	return a, nil
}

func allIn(letters string, plain []string) bool {
	for _, letter := range letters {
		if !slices.Contains(plain, string(letter)) {
			return false
		}
	}
	return letters != ""
}
