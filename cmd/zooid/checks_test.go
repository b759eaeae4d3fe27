package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
		for _, bug := range checkNames(t, "rule "+row[1], row[2]) {
			named[bug] = true
		}
	}
	for _, b := range simulate.Bugs {
		if !named[b.Name] {
			t.Errorf("no rule names the planted bug %s", b.Name)
		}
	}
}

// The page of the broadcast's rules has all invariants and rules, each with what proves it, and what it names is there. So are the bugs that others had.
func TestRulesOfThePageExist(t *testing.T) {
	page, err := docFiles.ReadFile("docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for letter, count := range map[string]int{"I": 23, "G": 15} {
		for i := range count {
			want = append(want, fmt.Sprint(letter, i+1))
		}
	}
	want = append(want, strings.Fields("4925 2623 3911 3642 3701 3231 3644 3306 3145 3144 3127 3104 3109 2872 2355 4475 4787")...)
	var have []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([IG0-9][0-9, ]*) \| .* \| (.*) \|$`).FindAllStringSubmatch(string(page), -1) {
		have = append(have, strings.Split(row[1], ", ")...)
		for _, name := range checkNames(t, row[1], row[2]) {
			if bug, err := simulate.FindBug(name); row[1][0] == 'I' && err == nil && !slices.Contains(bug.Rules, row[1]) {
				t.Errorf("%s names the planted bug %s, which is to be found by %v", row[1], name, bug.Rules)
			}
		}
		if !strings.Contains(row[2], "`") && !strings.Contains(row[2], "any seed") && !strings.Contains(row[2], "cores") && !strings.Contains(row[2], "trace ") {
			t.Errorf("%s is proven by nothing: %s", row[1], row[2])
		}
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("the page has %v, want %v", have, want)
	}
	for _, bug := range simulate.Bugs {
		for _, rule := range bug.Rules {
			if strings.HasPrefix(rule, "I") && !slices.Contains(have, rule) {
				t.Errorf("the planted bug %s is to be found by %s, which there is not", bug.Name, rule)
			}
		}
	}
}

// checkNames looks whether the tests, traces and planted bugs that a row names are there, and returns the bugs.
func checkNames(t *testing.T, row, cell string) (bugs []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("`([a-z/]+): (Test[A-Za-z0-9]+)`").FindAllStringSubmatch(cell, -1) {
		if !hasTest(t, m[1], m[2]) {
			t.Errorf("%s names %s in %s, where it is not", row, m[2], m[1])
		}
	}
	if left := regexp.MustCompile("`[a-z/]+: Test[A-Za-z0-9]+`").ReplaceAllString(cell, ""); strings.Contains(left, "Test") {
		t.Errorf("%s names a test in another way: %s", row, cell)
	}
	for _, m := range regexp.MustCompile(`trace ([a-z0-9_]+(?:, [a-z0-9_]+)*)`).FindAllStringSubmatch(cell, -1) {
		for _, name := range strings.Split(m[1], ", ") {
			found, err := filepath.Glob("../../plugins/*/testdata/" + name + ".txt")
			if err != nil || len(found) == 0 {
				t.Errorf("%s names the trace %s, which there is not (%v)", row, name, err)
			}
		}
	}
	for _, m := range regexp.MustCompile(`bug ([a-z]+-[a-z-]+)`).FindAllStringSubmatch(cell, -1) {
		bugs = append(bugs, m[1])
		if _, err := simulate.FindBug(m[1]); err != nil {
			t.Errorf("%s: %v", row, err)
		}
	}
	return bugs
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
