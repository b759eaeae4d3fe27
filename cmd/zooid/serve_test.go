package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveOnce runs zooid serve in a directory of its own with arguments that cannot lead to a server, and returns what became of it.
func serveOnce(t *testing.T, dir string, args ...string) (code int, errOut string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // one that serves after all is ended, and has no exit code
	defer cancel()
	cmd := exec.CommandContext(ctx, zooidBinary(t), append([]string{"serve"}, args...)...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// The default server says where it listens, where its data is and what to do next, before anything can go wrong with it. Something does here, so that the test takes
// nobody's port 2181.
func TestServeWithoutFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "log"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	code, errOut := serveOnce(t, dir)
	first, rest, _ := strings.Cut(errOut, "\n")
	if want := "Zooid: one server on 127.0.0.1:2181, data in ./data, no configuration file. Try: zooid shell -server 127.0.0.1:2181 ls /"; first != want {
		t.Errorf("the first line is\n%s\nwant\n%s", first, want)
	}
	if code != exitData || !strings.Contains(rest, filepath.Join("data", "log")) {
		t.Errorf("a file stands where the log should be: code %d, want %d\n%s", code, exitData, rest)
	}
}

// Exit codes say whether somebody has to look at the configuration or at the disk.
func TestServeExitCodes(t *testing.T) {
	dir := t.TempDir()
	file, foreign := filepath.Join(dir, "file"), filepath.Join(dir, "foreign")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "manifest"), []byte("no manifest\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "zoo.cfg")
	for _, c := range []struct {
		about, dataDir string
		lines          string
		code           int
		errOut         string
	}{
		{"the log's directory is a file", filepath.Join(dir, "new"), "dataLogDir=" + file, exitData, "choose a writable one"},
		{"a directory with damage", foreign, "", exitData, filepath.Join(foreign, "manifest")},
		{"a value that is none", filepath.Join(dir, "new"), "tickTime=soon", exitUsage, ":4: tickTime=soon: not a whole number"},
		{"no such plugin", filepath.Join(dir, "new"), "plugin.log=flie", exitUsage, "Did you mean file?"},
		{"a program as a plugin", filepath.Join(dir, "new"), "plugin.auth=exec:/bin/true", exitUsage, ":4: plugin.auth=exec:/bin/true: no such plugin"},
		{"a key file that is not there", filepath.Join(dir, "new"), "secureClientPort=" + freePort(t) + "\nssl.keyStore.location=" + filepath.Join(dir, "absent.pem"), exitUsage, "absent.pem"},
	} {
		text := "clientPort=" + freePort(t) + "\nadmin.enableServer=false\ndataDir=" + c.dataDir + "\n" + c.lines + "\n"
		if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if code, errOut := serveOnce(t, dir, config); code != c.code || !strings.Contains(errOut, c.errOut) {
			t.Errorf("%s: code %d, want %d; %q should be in\n%s", c.about, code, c.code, c.errOut, errOut)
		}
	}
	if code, errOut := serveOnce(t, dir, filepath.Join(dir, "absent.cfg")); code != exitUsage || !strings.Contains(errOut, "absent.cfg") {
		t.Errorf("no such file: code %d, want %d\n%s", code, exitUsage, errOut)
	}
}

// What a client on the same machine is told to use.
func TestFromHere(t *testing.T) {
	for listen, want := range map[string]string{":2181": "127.0.0.1:2181", "0.0.0.0:2181": "127.0.0.1:2181", "[::]:2181": "127.0.0.1:2181", "10.0.0.7:2181": "10.0.0.7:2181", "zoo1:2181": "zoo1:2181"} {
		if got := fromHere(listen); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}
