package config

import (
	"fmt"
	"strings"
)

// OriginKind says what kind of place a value came from.
type OriginKind int

const (
	FromDefault     OriginKind = iota // nobody set it
	FromFile                          // a line of the static file
	FromFlag                          // a -D property in SERVER_JVMFLAGS or JVMFLAGS
	FromDynamicFile                   // a line of the dynamic file
	FromEnvironment                   // an environment variable of its own
	FromCommandLine                   // the command line
)

// Origin is the place a value came from.
type Origin struct {
	Kind     OriginKind
	Name     string // file, variable, or how a default is computed
	Line     int    // from 1; files only
	Property string // flags only
}

func (o Origin) String() string {
	switch o.Kind {
	case FromFile, FromDynamicFile:
		if o.Line == 0 {
			return o.Name
		}
		return fmt.Sprintf("%s:%d", o.Name, o.Line)
	case FromFlag:
		return fmt.Sprintf("-D%s in %s", o.Property, o.Name)
	case FromEnvironment:
		return "variable " + o.Name
	case FromCommandLine:
		return "command line"
	}
	if o.Name != "" {
		return "default, " + o.Name
	}
	return "default"
}

// Problem is one thing wrong, or worth a warning, with one place of the configuration. Values of secret keys are masked.
type Problem struct {
	Origin  Origin
	Key     string // as written; may be empty
	Value   string // as written, masked if secret
	What    string
	Allowed string // what may stand there; may be empty
}

func (p *Problem) Error() string {
	var b strings.Builder
	if p.Origin.Kind != FromDefault {
		b.WriteString(p.Origin.String() + ": ")
	}
	switch {
	case p.Key != "" && p.Value != "":
		b.WriteString(p.Key + "=" + p.Value + ": ")
	case p.Key != "":
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.What)
	if p.Allowed != "" {
		if !strings.HasSuffix(p.What, "?") { // a question ends the sentence
			b.WriteString(".")
		}
		b.WriteString(" Allowed: " + p.Allowed)
	}
	return b.String()
}

// Errors is everything that keeps a configuration from being used, in the order of the files. errors.As finds each *Problem.
type Errors []*Problem

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, p := range e {
		out[i] = p
	}
	return out
}
