package simulate

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel/sim"
)

// The page about scenarios names tests and traces that exist, and every story stands in it.
func TestScenariosOfThePageExist(t *testing.T) {
	page, err := os.ReadFile("../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{}
	for _, dir := range []string{".", "../../../stores/file", "../../../stores/snapshot"} {
		files, _ := filepath.Glob(dir + "/*_test.go")
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(b, -1) {
				sources[string(m[1])] = f
			}
		}
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(string(page), -1) {
		named[name] = true
		if sources[name] == "" {
			t.Errorf("the page names %s, which there is not", name)
		}
	}
	for name, file := range sources {
		if file == "scenarios_test.go" && strings.HasPrefix(name, "TestS") && !named[name] {
			t.Errorf("%s does not stand in the page", name)
		}
	}
	for _, m := range regexp.MustCompile(`trace ([\w, ]+)`).FindAllStringSubmatch(string(page), -1) {
		for _, name := range strings.FieldsFunc(m[1], func(r rune) bool { return r == ',' || r == ' ' }) {
			if !strings.Contains(name, "_") && name != "roll" {
				continue
			}
			zab, _ := filepath.Glob("../../../plugins/zab/testdata/" + name + ".txt")
			election, _ := filepath.Glob("../../../plugins/election/testdata/" + name + ".txt")
			if len(zab)+len(election) == 0 {
				t.Errorf("the page names the trace %s, which there is not", name)
			}
		}
	}
}

// The page has every scenario of spec zab, 18: the numbers are not contiguous there.
func TestThePageHasEveryScenario(t *testing.T) {
	page, err := os.ReadFile("../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n| Scenario | Where |\n")
	listed := map[int]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\|([^|]*)\|`).FindAllStringSubmatch(table, -1) {
		for _, m := range regexp.MustCompile(`S-(\d+)`).FindAllStringSubmatch(row[1], -1) {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			listed[n] = true
		}
	}
	for _, chapter := range [][2]int{{1, 12}, {33, 42}, {50, 73}, {80, 85}, {90, 96}, {100, 105}, {110, 115}} {
		for n := chapter[0]; n <= chapter[1]; n++ {
			if !listed[n] {
				t.Errorf("the page does not have S-%02d", n)
			}
			delete(listed, n)
		}
	}
	for n := range listed {
		t.Errorf("the page has S-%02d, which there is not", n)
	}
	for _, mark := range slices.Concat(sim.Marks, marks) {
		if number, _, _ := strings.Cut(mark, " "); !strings.Contains(table, number) {
			t.Errorf("%s does not stand in the page", mark)
		}
	}
}
