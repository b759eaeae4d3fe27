package kernel_test

import (
	"testing"

	"github.com/zooid-project/zooid/kernel"
)

func TestNearest(t *testing.T) {
	names := []string{"tickTime", "snapCount", "file", "memory", "clientPort"}
	for text, want := range map[string]string{"ticktime": "tickTime", "tickTme": "tickTime", "snapcuont": "snapCount", "flie": "file", "fil": "file", "memroy": "memory", "mem": "", "nothingLikeIt": "", "": ""} {
		if got := kernel.Nearest(text, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", text, got, want)
		}
	}
}
