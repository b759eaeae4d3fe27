package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/zooid-project/zooid/kernel"
)

// DynamicFiles are the files in which an installation of ZooKeeper's kind keeps its members (spec server-surface, 1.6): the static file names the dynamic one, whose name ends with the version of
// the configuration; what is proposed lies beside. They are a copy for people and for ZooKeeper's servers: what counts here is in the data directory. The methods are for one goroutine.
type DynamicFiles struct {
	static string
}

// DynamicFiles are nil when the configuration has no dynamic file, or changes are not enabled.
func (c *Config) DynamicFiles() *DynamicFiles {
	if c.File == "" || c.DynamicConfigFile == "" || !c.Quorum.ReconfigEnabled {
		return nil
	}
	return &DynamicFiles{static: c.File}
}

// Write brings the files up to the configuration in force and the proposed one, nil if there is none. Older dynamic files stay, as a history. Each file is the old or the new one after a crash,
// and the static file names one that is there.
func (d *DynamicFiles) Write(inForce kernel.Ensemble, proposed *kernel.Ensemble) error {
	if inForce.Version != 0 { // else it is what the installation began with
		path, err := filepath.Abs(d.named(inForce.Version))
		if err != nil {
			return err
		}
		lines, _, _ := strings.Cut(inForce.Text, "version=") // the version is in the name, and last in the text
		if err := replace(path, []byte(lines)); err != nil {
			return err
		}
		if err := d.repoint(path); err != nil {
			return err
		}
	}
	next := d.static + proposedSuffix
	if proposed != nil {
		return replace(next, []byte(proposed.Text+"\n"))
	}
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// named is the name of the dynamic file of a version.
func (d *DynamicFiles) named(version kernel.Zxid) string {
	return fmt.Sprintf("%s.dynamic.%x", d.static, uint64(version))
}

// repoint makes the static file name another dynamic one. Everything else in it stays as it is; what it was is kept beside it.
func (d *DynamicFiles) repoint(path string) error {
	text, err := readLimited(d.static)
	if err != nil {
		return err
	}
	properties, err := parseProperties(text)
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	for _, p := range properties {
		if p.key != "dynamicConfigFile" {
			continue
		}
		if p.value == path {
			return nil
		}
		lines[p.line-1] = "dynamicConfigFile=" + path
		for i := p.line; i < p.last; i++ { // lines that went on
			lines[i] = "#"
		}
	}
	if err := replace(d.static+".bak", text); err != nil {
		return err
	}
	return replace(d.static, []byte(strings.Join(lines, "\n")))
}

// replace writes a file as a whole, unless it is like that already.
func replace(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // nothing, once it has its name
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if _, err = f.Write(text); err == nil {
		if err = f.Chmod(mode); err == nil {
			err = f.Sync()
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// beforeRecover ends the name of what the static file was before ReplaceMembers.
const beforeRecover = ".before-recover"

// ReplaceMembers makes the configuration files name these members and no others, for a server that is stopped: the dynamic file, if there is one, else the lines of the static one. A single voter
// is an ensemble that may grow (standaloneEnabled=false). What the static file was stays beside it. It returns the files that it has written. A configuration without a file has none.
func (c *Config) ReplaceMembers(e kernel.Ensemble) ([]string, error) {
	if c.File == "" {
		return nil, nil
	}
	text, err := readLimited(c.File)
	if err != nil {
		return nil, err
	}
	properties, err := parseProperties(text)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for _, p := range properties {
		switch key := strings.TrimPrefix(p.key, "zookeeper."); {
		case membershipPrefix(key) != "", key == "peerType", key == "standaloneEnabled", key == "dynamicConfigFile":
			for i := p.line - 1; i < p.last; i++ {
				lines[i] = "#" + lines[i]
			}
		}
	}
	members, _, _ := strings.Cut(e.Text, "version=")
	members = strings.TrimSpace(members)
	lines = append(lines, "standaloneEnabled=false")
	var written []string
	if c.DynamicConfigFile == "" {
		lines = append(lines, members)
	} else {
		path, err := filepath.Abs((&DynamicFiles{static: c.File}).named(e.Version))
		if err != nil {
			return nil, err
		}
		if err := replace(path, []byte(members+"\n")); err != nil {
			return nil, err
		}
		if err := os.Remove(c.File + proposedSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		written = append(written, path)
		lines = append(lines, "dynamicConfigFile="+path)
	}
	if _, err := os.Stat(c.File + beforeRecover); errors.Is(err, fs.ErrNotExist) { // else this is done again
		if err := replace(c.File+beforeRecover, text); err != nil {
			return nil, err
		}
	}
	return append(written, c.File), replace(c.File, []byte(strings.Join(lines, "\n")+"\n"))
}
