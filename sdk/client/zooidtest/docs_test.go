package zooidtest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPainsPageIsTrue: every test that the page names is there, and every test of a pain is named.
func TestPainsPageIsTrue(t *testing.T) {
	const root = "../../.."
	page, err := os.ReadFile(filepath.Join(root, "cmd/zooid/docs/pains.md"))
	if err != nil {
		t.Fatal(err)
	}
	source := map[string]string{} // by directory
	read := func(dir string) string {
		if source[dir] == "" {
			files, _ := filepath.Glob(filepath.Join(root, dir, "*_test.go")) // the pattern is well-formed
			for _, f := range files {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				source[dir] += string(text)
			}
		}
		return source[dir]
	}
	const here = "sdk/client/zooidtest"
	named := regexp.MustCompile("(?:`((?:plugins|cmd|transports|sdk)/[a-z/]+)` )?`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 20 {
		t.Fatalf("the page names %d tests only", len(named))
	}
	for _, m := range named {
		dir := m[1]
		if dir == "" {
			dir = here
		}
		if !strings.Contains(read(dir), "func "+m[2]+"(t *testing.T)") {
			t.Errorf("there is no %s in %s", m[2], dir)
		}
	}
	for _, m := range regexp.MustCompile(`func (TestPain\w+)\(`).FindAllStringSubmatch(read(here), -1) {
		if m[1] != "TestPainsPageIsTrue" && !strings.Contains(string(page), "`"+m[1]+"`") {
			t.Errorf("the page does not name %s", m[1])
		}
	}
}
