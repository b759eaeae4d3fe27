package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// maxFileBytes keeps a wrong path (a log, a device) from being read whole.
const maxFileBytes = 4 << 20

// Load reads the file at path and what it refers to: the dynamic file and myid. env is as from os.Environ; nil ignores the environment.
// The error is an Errors with everything that is wrong. Nothing is written or created.
func Load(path string, env []string) (*Config, error) {
	text, err := readLimited(path)
	if err != nil {
		return nil, Errors{{Origin: Origin{Kind: FromFile, Name: path}, What: "cannot be read: " + reason(err)}}
	}
	return parse(path, text, env)
}

// Parse reads a configuration from r; name is what messages call it, and where files beside it are looked for.
func Parse(name string, r io.Reader, env []string) (*Config, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFileBytes))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return parse(name, text, env)
}

// Default is the configuration without a file: one standalone server on 127.0.0.1:2181 with its data in ./data, seen by this machine only. Flags in env count.
func Default(env []string) (*Config, error) {
	return fromSettings("", []setting{
		{name: "dataDir", value: "./data"},
		{name: "clientPort", value: "2181"},
		{name: "clientPortAddress", value: "127.0.0.1"},
		{name: "admin.serverAddress", value: "127.0.0.1"},
	}, env)
}

// FromArguments is the form without a file: port, data directory, then optionally tick time in milliseconds and connections per address (spec server-surface, 1.5).
// A first argument that is no number is not this form: use Load.
func FromArguments(args []string, env []string) (*Config, error) {
	names := []string{"clientPort", "dataDir", "tickTime", "maxClientCnxns"}
	if len(args) < 2 || len(args) > len(names) {
		return nil, Errors{{Origin: Origin{Kind: FromCommandLine}, What: fmt.Sprintf("%d arguments", len(args)), Allowed: "a file, or PORT DATADIR [TICKTIME] [MAXCLIENTCNXNS]"}}
	}
	var settings []setting
	for i, value := range args {
		settings = append(settings, setting{name: names[i], value: value, origin: Origin{Kind: FromCommandLine}})
	}
	return fromSettings("", settings, env)
}

func parse(name string, text []byte, env []string) (*Config, error) {
	properties, err := parseProperties(text)
	if err != nil {
		return nil, Errors{syntaxProblem(FromFile, name, err)}
	}
	settings := make([]setting, len(properties))
	for i, p := range properties {
		settings[i] = setting{name: p.key, value: p.value, origin: Origin{Kind: FromFile, Name: name, Line: p.line}}
	}
	c, err := fromSettings(name, settings, env)
	if err == nil {
		c.Source = sourceText(text, properties)
	}
	return c, err
}

// loader collects problems while a configuration is made.
type loader struct {
	c        *Config
	problems Errors
}

// fromSettings makes a configuration from the settings of a file (strongest last) and the environment.
func fromSettings(file string, settings []setting, env []string) (*Config, error) {
	l := &loader{c: &Config{File: file, Plugins: map[string]Plugin{}, settings: map[string]setting{}}}
	membership := l.resolve(settings, environmentSettings(env))
	l.fillFields()
	l.fillFamilies()
	l.readMembership(membership)
	l.check()
	l.remarkOnStatus()
	sortByLine(l.problems)
	sortByLine(l.c.Warnings)
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return l.c, nil
}

// sortByLine puts problems in the order of a reader: by line inside a file, then what concerns the file as a whole; files and flags as they first occur.
func sortByLine(problems []*Problem) {
	rank := map[string]int{}
	for _, p := range problems {
		if _, seen := rank[p.Origin.Name]; !seen {
			rank[p.Origin.Name] = len(rank)
		}
	}
	slices.SortStableFunc(problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(rank[a.Origin.Name], rank[b.Origin.Name]), cmp.Compare(uint(a.Origin.Line-1), uint(b.Origin.Line-1)))
	})
}

func (l *loader) fail(s setting, what, allowed string) {
	l.problems = append(l.problems, &Problem{Origin: s.origin, Key: s.written(), Value: s.shown(), What: what, Allowed: allowed})
}

func (l *loader) warn(s setting, what string) {
	l.c.Warnings = append(l.c.Warnings, &Problem{Origin: s.origin, Key: s.written(), Value: s.shown(), What: what})
}

func syntaxProblem(kind OriginKind, file string, err error) *Problem {
	p := &Problem{Origin: Origin{Kind: kind, Name: file}, What: err.Error()}
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		p.Origin.Line, p.What = syntax.line, syntax.what
	}
	return p
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = fmt.Errorf("larger than %d bytes, so it is no configuration", maxFileBytes)
	}
	return text, err
}

// reason drops the path from an error, since messages name it already.
func reason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}

func (l *loader) readMembership(lines []setting) {
	if dynamic, ok := l.c.settings["dynamicConfigFile"]; ok && dynamic.value != "" {
		for _, s := range lines {
			l.fail(s, "members are listed in the file that dynamicConfigFile names; move this line there", "")
		}
		l.c.Membership = l.readDynamic(dynamic.value, dynamic, false)
	} else {
		l.c.Membership = parseMembership(lines, l.fail)
	}
	if l.c.File != "" {
		l.c.Proposed = l.readProposed(l.c.File)
	}
}

// readMyID reads the file myid in the data directory. found is false if there is none. A server that runs alone needs no id, so there a bad file is only said.
func (l *loader) readMyID() (id int64, found bool) {
	path := filepath.Join(l.c.DataDir, "myid")
	text, err := readLimited(path)
	if errors.Is(err, fs.ErrNotExist) || l.c.DataDir == "" {
		return 0, false
	}
	s := setting{origin: Origin{Kind: FromFile, Name: path}}
	if err != nil {
		l.fail(s, "cannot be read: "+reason(err), "")
		return 0, true
	}
	line := firstLine(string(text))
	if id, err = strconv.ParseInt(line, 10, 64); err != nil || id < 0 {
		what := fmt.Sprintf("the first line, %.40q, is no server id", line)
		if l.c.Mode == Standalone {
			l.warn(s, what)
			return 0, false
		}
		l.fail(s, what, "the N of this server's server.N line")
		return 0, true
	}
	return id, true
}
