package config

import (
	"os"
	"strconv"
	"strings"
)

// readDynamic reads a dynamic file: membership lines and nothing else, no version line either (spec server-surface, 1.6). The version is the part of the file's name behind the last dot, read as
// hexadecimal; 0 if it is not. The name of a proposed one has none, and there it is in the file.
func (l *loader) readDynamic(path string, asked setting, proposed bool) Membership {
	text, err := readLimited(path)
	if err != nil {
		l.fail(asked, "the dynamic configuration file cannot be read: "+reason(err), "")
		return Membership{}
	}
	properties, err := parseProperties(text)
	if err != nil {
		l.problems = append(l.problems, syntaxProblem(FromDynamicFile, path, err))
		return Membership{}
	}
	var settings []setting
	version := versionOf(path)
	for _, p := range properties {
		s := setting{name: p.key, value: p.value, origin: Origin{Kind: FromDynamicFile, Name: path, Line: p.line}}
		if p.key == "version" && proposed {
			if version, err = strconv.ParseUint(p.value, 16, 64); err != nil {
				l.fail(s, "no version of a configuration", "a hexadecimal number")
			}
			continue
		}
		if membershipPrefix(p.key) == "" {
			l.fail(s, "does not belong into a dynamic configuration file", "server.N, group.N and weight.N")
			continue
		}
		settings = append(settings, s)
	}
	m := parseMembership(settings, l.fail)
	m.Version = version
	return m
}

func versionOf(path string) uint64 {
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 {
		return 0
	}
	v, err := strconv.ParseUint(path[dot+1:], 16, 64)
	if err != nil {
		return 0
	}
	return v
}

const proposedSuffix = ".dynamic.next"

// readProposed reads the configuration that was proposed but not committed when the server last stopped, if there is one beside the static file.
func (l *loader) readProposed(static string) *Membership {
	path := static + proposedSuffix
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	m := l.readDynamic(path, setting{origin: Origin{Kind: FromDynamicFile, Name: path}}, true)
	return &m
}
