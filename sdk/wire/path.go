package wire

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Built-in nodes, which cannot be deleted (spec client-protocol, 6).
const (
	RootPath      = "/"
	ZooKeeperPath = "/zookeeper"
	QuotaPath     = "/zookeeper/quota"
	ConfigPath    = "/zookeeper/config"
)

// PathError says why a path is refused. It unwraps to ErrBadArguments.
type PathError struct {
	Path   string
	Reason string
}

func (e *PathError) Error() string { return fmt.Sprintf("invalid path %q: %s", e.Path, e.Reason) }

// Unwrap returns ErrBadArguments.
func (e *PathError) Unwrap() error { return ErrBadArguments }

// ValidatePath checks a path as servers do on create (after the sequence suffix), setData, setACL and check (spec client-protocol, 6). The error is a *PathError.
func ValidatePath(path string) error {
	bad := func(reason string) error { return &PathError{Path: path, Reason: reason} }
	switch {
	case path == "":
		return bad("it is empty")
	case path[0] != '/':
		return bad("it does not start with /")
	case path == "/":
		return nil
	case path[len(path)-1] == '/':
		return bad("it ends with /")
	}
	start := 1 // of the component under way
	for i := 1; i <= len(path); {
		if i == len(path) || path[i] == '/' {
			switch path[start:i] {
			case "":
				return bad("it has an empty component")
			case ".", "..":
				return bad("relative components are not allowed")
			}
			i++
			start = i
			continue
		}
		c := path[i]
		if c < utf8.RuneSelf {
			if c < 0x20 || c == 0x7f {
				return bad(fmt.Sprintf("character U+%04X at byte %d is not allowed", c, i))
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(path[i:])
		if r == utf8.RuneError && n == 1 {
			return bad(fmt.Sprintf("it is not UTF-8 at byte %d", i))
		}
		if r <= 0x9f || (r >= 0xd800 && r <= 0xf8ff) || r >= 0xfff0 {
			return bad(fmt.Sprintf("character U+%04X at byte %d is not allowed", r, i))
		}
		i += n
	}
	return nil
}

// CheckCreatePath is the weaker test that a create passes before its parent is looked at: a slash and no NUL (spec client-protocol, 4.2). ValidatePath follows once the suffix is known.
func CheckCreatePath(path string) error {
	if strings.IndexByte(path, '/') < 0 {
		return &PathError{Path: path, Reason: "it has no /"}
	}
	if strings.IndexByte(path, 0) >= 0 {
		return &PathError{Path: path, Reason: "it holds a NUL"}
	}
	return nil
}

// CheckDeletePath is the test of delete and deleteContainer: as CheckCreatePath, and not a built-in node (spec client-protocol, 4.2).
func CheckDeletePath(path string) error {
	if err := CheckCreatePath(path); err != nil {
		return err
	}
	switch path {
	case RootPath, ZooKeeperPath, QuotaPath, ConfigPath:
		return &PathError{Path: path, Reason: "built-in nodes cannot be deleted"}
	}
	return nil
}

// ParentPath returns everything before the last slash: "" (another name of the root) for "/a". A path without a slash gives "" too; CheckCreatePath excludes it.
func ParentPath(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return ""
}
