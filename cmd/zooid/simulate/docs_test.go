package simulate

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/zooid-project/zooid/kernel/sim"
)

// scenarios are the rows of the page's table: what each is about, and what it names.
func scenarios(t *testing.T) (rows [][]string, page string) {
	t.Helper()
	b, err := os.ReadFile("../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(b), "\n| Scenario | Where |\n")
	if table, _, _ = strings.Cut(table, "\n## "); !found {
		t.Fatal("the page has no table")
	}
	for _, m := range regexp.MustCompile(`(?m)^\| (S-.*?) \| (.*) \|$`).FindAllStringSubmatch(table, -1) {
		rows = append(rows, m[1:])
	}
	return rows, string(b)
}

// list is what stands behind a word in the table: names with commas between them.
func list(text, before, name string) (all []string) {
	for _, m := range regexp.MustCompile(before+` (`+name+`(?:, `+name+`)*)`).FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Split(m[1], ", ")...)
	}
	return all
}

// The page about scenarios names tests, traces, marks and planted bugs that exist, and every story stands in it.
func TestScenariosOfThePageExist(t *testing.T) {
	rows, page := scenarios(t)
	tests, named := 0, map[string]bool{}
	for _, row := range rows {
		for _, m := range regexp.MustCompile(`([a-z]+(?:/[a-z]+)*): (Test\w+(?:, Test\w+)*)`).FindAllStringSubmatch(row[1], -1) {
			dir := "../../../" + m[1]
			if m[1] == "stories" {
				dir = "."
			}
			there := testsIn(t, dir)
			for _, name := range strings.Split(m[2], ", ") {
				tests++
				named[name] = true
				if !there[name] {
					t.Errorf("%s names %s in %s, where it is not", row[0], name, m[1])
				}
			}
		}
		for _, name := range list(row[1], "trace", "[a-z0-9_]+") {
			if !traces("*", name) {
				t.Errorf("%s names the trace %s, which there is not", row[0], name)
			}
		}
		numbers := regexp.MustCompile(`S-(\d+)`).FindAllStringSubmatch(row[0], -1)
		for _, m := range regexp.MustCompile(`traces of these names(?: in plugins/([a-z]+))?`).FindAllStringSubmatch(row[1], -1) {
			for _, n := range numbers {
				if in := cmp.Or(m[1], "*"); !traces(in, "s"+n[1]+"_*") {
					t.Errorf("there is no trace of S-%s in plugins/%s", n[1], in)
				}
			}
		}
		for _, number := range list(row[1], "mark", `S-\d+`) {
			if !slices.ContainsFunc(slices.Concat(sim.Marks, marks), func(m string) bool { return strings.HasPrefix(m, number+" ") }) {
				t.Errorf("%s names the mark %s, which there is not", row[0], number)
			}
		}
		for _, name := range list(row[1], "planted bugs?", "[a-z]+-[a-z-]+") {
			if _, err := FindBug(name); err != nil {
				t.Errorf("%s: %v", row[0], err)
			}
		}
		if strings.Contains(row[1], "planted bug") && len(list(row[1], "planted bugs?", "[a-z]+-[a-z-]+")) == 0 {
			t.Errorf("%s names a planted bug in another way: %s", row[0], row[1])
		}
	}
	if all := len(regexp.MustCompile(`\bTest[A-Z]\d*\w+`).FindAllString(strings.Join(slices.Concat(rows...), "\n"), -1)); all != tests {
		t.Errorf("the table names %d tests, and %d of them in a way that can be checked", all, tests)
	}
	b, err := os.ReadFile("scenarios_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^func (TestS\d\w+)\(`).FindAllStringSubmatch(string(b), -1) {
		if !named[m[1]] {
			t.Errorf("%s does not stand in the page", m[1])
		}
	}
	if !strings.Contains(page, "zooid docs rules") {
		t.Error("the page does not say where the rules are")
	}
}

// traces tells whether there is a golden trace in the testdata of a plugin.
func traces(plugin, name string) bool {
	found, _ := filepath.Glob("../../../plugins/" + plugin + "/testdata/" + name + ".txt")
	return len(found) > 0
}

// testsIn are the tests of a directory.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, _ := filepath.Glob(dir + "/*_test.go")
	all := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(b, -1) {
			all[string(m[1])] = true
		}
	}
	return all
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
