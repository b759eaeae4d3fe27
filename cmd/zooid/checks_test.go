package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/cmd/zooid/simulate"
)

// The page of checks has all 25 rules, each with a check, and what it names is there.
func TestChecksOfThePageExist(t *testing.T) {
	page, err := docFiles.ReadFile("docs/checks.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| .* \| (.*) \|$`).FindAllStringSubmatch(string(page), -1)
	if len(rows) != 25 {
		t.Errorf("the page has %d rules, want 25", len(rows))
	}
	named := map[string]bool{}
	for i, row := range rows {
		if row[1] != fmt.Sprint(i+1) {
			t.Errorf("rule %s stands where %d should", row[1], i+1)
		}
		for _, m := range regexp.MustCompile("`([a-z/]+): (Test[A-Za-z0-9]+)`").FindAllStringSubmatch(row[2], -1) {
			if !hasTest(t, m[1], m[2]) {
				t.Errorf("rule %s names %s in %s, where it is not", row[1], m[2], m[1])
			}
		}
		if left := regexp.MustCompile("`[a-z/]+: Test[A-Za-z0-9]+`").ReplaceAllString(row[2], ""); strings.Contains(left, "Test") {
			t.Errorf("rule %s names a test in another way: %s", row[1], row[2])
		}
		for _, m := range regexp.MustCompile(`bug ([a-z-]+)`).FindAllStringSubmatch(row[2], -1) {
			named[m[1]] = true
			if _, err := simulate.FindBug(m[1]); err != nil {
				t.Errorf("rule %s: %v", row[1], err)
			}
		}
	}
	for _, b := range simulate.Bugs {
		if !named[b.Name] {
			t.Errorf("no rule names the planted bug %s", b.Name)
		}
	}
}

// hasTest looks for a test in a directory of the module.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
