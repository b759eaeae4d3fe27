package kernel_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// testServer is the one package of the sdk that may import plugins: it runs a whole server for tests.
const testServer = module + "sdk/client/zooidtest"

const module = "github.com/zooid-project/zooid/"

// listed is what `go list -json` says of one package.
type listed struct {
	Dir        string
	ImportPath string
	Name       string
	Doc        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=Dir,ImportPath,Name,Doc,GoFiles,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// layer says how far up a package stands: imports go down only (DESIGN, The tree).
func layer(pkg string) int {
	switch strings.SplitN(strings.TrimPrefix(pkg, module), "/", 2)[0] {
	case "kernel":
		return 0
	case "transports", "stores", "plugins", "sdk":
		return 1
	case "recipes", "bench":
		return 2
	}
	return 3 // cmd
}

// plugin is the root of the plugin that a package belongs to, empty for none: what two plugins share is a kernel type or lives in sdk.
func plugin(pkg string) string {
	parts := strings.Split(strings.TrimPrefix(pkg, module), "/")
	switch {
	case len(parts) >= 3 && parts[0] == "plugins" && parts[1] == "gateway":
		return strings.Join(parts[:3], "/")
	case len(parts) >= 2 && (parts[0] == "plugins" || parts[0] == "stores" || parts[0] == "transports"):
		return strings.Join(parts[:2], "/")
	}
	return ""
}

func TestImportsPointOneWay(t *testing.T) {
	all := packages(t)
	if len(all) < 5 {
		t.Fatalf("go list found %d packages: the rule would hold of nothing", len(all))
	}
	for _, p := range all {
		for _, i := range p.Imports {
			if !strings.HasPrefix(i, module) {
				continue
			}
			if layer(i) > layer(p.ImportPath) {
				t.Errorf("%s imports %s, which stands above it", p.ImportPath, i)
			}
			if a, b := plugin(p.ImportPath), plugin(i); a != "" && b != "" && a != b {
				t.Errorf("%s imports %s: a plugin never imports another; what both need is a kernel type or lives in sdk", p.ImportPath, i)
			}
			if strings.HasPrefix(p.ImportPath, module+"sdk/") && p.ImportPath != testServer && plugin(i) != "" {
				t.Errorf("%s imports the plugin %s", p.ImportPath, i)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment: doc.go says in one sentence what it is (%s)", p.ImportPath, filepath.Base(p.Dir))
		}
	}
}
