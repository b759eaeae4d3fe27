package client_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/zooid-project/zooid/sdk/client/zooidtest"
)

// connect is the connect string of the server that the examples use, a whole one in this process.
var connect string

func TestMain(m *testing.M) {
	t := &forExamples{}
	connect = zooidtest.Start(t).ConnectString()
	code := m.Run()
	t.end()
	os.Exit(code)
}

// forExamples stands in for a test: an example has none.
type forExamples struct {
	testing.TB // nil: whatever else is called is not there
	cleanups   []func()
}

func (t *forExamples) Helper()          {}
func (t *forExamples) Log(...any)       {}
func (t *forExamples) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }
func (t *forExamples) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
func (t *forExamples) Errorf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

func (t *forExamples) end() {
	for _, f := range t.cleanups {
		f()
	}
}
