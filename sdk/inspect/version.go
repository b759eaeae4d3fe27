package inspect

import (
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// Compatible is the ZooKeeper release whose behaviour clients find (spec client-protocol, 14).
const Compatible = "3.9.5"

// Release is this build's own version. A release build sets it with -ldflags "-X github.com/zooid-project/zooid/sdk/inspect.Release=v0.1.0".
var Release = ""

// BuildDate is set like Release, as "2006-01-02 15:04 UTC". Without it the time of the commit is shown, or that of the executable file.
var BuildDate = ""

const dateLayout = "2006-01-02 15:04 UTC"

// Version is the text that version fields of words and HTTP answers carry, for instance "3.9.5-zooid-0.1.0-3e8adaf, built on 2026-07-20 12:00 UTC".
// Its first part is a ZooKeeper version, because tools take the numbers up to the first dash for one.
var Version = sync.OnceValue(func() string {
	release, revision, date := Release, "unknown", BuildDate
	if info, ok := debug.ReadBuildInfo(); ok {
		if release == "" && info.Main.Version != "" && info.Main.Version != "(devel)" {
			release = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				revision = s.Value[:min(len(s.Value), 12)]
			case "vcs.time":
				if t, err := time.Parse(time.RFC3339, s.Value); err == nil && date == "" {
					date = t.UTC().Format(dateLayout)
				}
			}
		}
	}
	if release == "" {
		release = "devel"
	}
	if date == "" {
		date = executableTime().UTC().Format(dateLayout)
	}
	// Parsers take letters, digits, dots and dashes for the version.
	release = strings.Map(func(r rune) rune {
		if r == '+' || r == '/' || r == ' ' {
			return '-'
		}
		return r
	}, strings.TrimPrefix(release, "v"))
	return Compatible + "-zooid-" + release + "-" + revision + ", built on " + date
})

func executableTime() time.Time {
	if path, err := os.Executable(); err == nil {
		if info, err := os.Stat(path); err == nil {
			return info.ModTime()
		}
	}
	return time.Unix(0, 0)
}
