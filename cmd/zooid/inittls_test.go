package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestInitTLS(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	pool := func() *x509.CertPool {
		text, err := os.ReadFile(filepath.Join(dir, "authority.pem"))
		if err != nil {
			t.Fatal(err)
		}
		p := x509.NewCertPool()
		if !p.AppendCertsFromPEM(text) {
			t.Fatal("authority.pem holds no certificate")
		}
		return p
	}
	check := func(file string, names ...string) {
		t.Helper()
		path := filepath.Join(dir, file)
		pair, err := tls.LoadX509KeyPair(path, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			for _, name := range names {
				if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: pool(), KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v, %v", file, info.Mode(), err)
		}
		if left := time.Until(pair.Leaf.NotAfter); left < 29*24*time.Hour || left > 31*24*time.Hour {
			t.Errorf("%s is valid for %v more", file, left)
		}
	}
	code, out, errOut := zooid(t, "init-tls", "--dir", dir, "--days", "30", "zk1.example.com", "zk2.example.com,10.0.0.2,fd00::2")
	if code != 0 || errOut != "" || !strings.Contains(out, "ssl.quorum.keyStore.location="+filepath.Join(dir, "zk1.example.com.pem")) {
		t.Fatalf("exit %d: %s%s", code, out, errOut)
	}
	check("zk1.example.com.pem", "zk1.example.com")
	check("zk2.example.com.pem", "zk2.example.com", "10.0.0.2", "[fd00::2]")
	// A server is added by the same authority; one that is there is left alone until it is asked for.
	if code, out, errOut = zooid(t, "init-tls", "--dir", dir, "--days", "30", "fd00::3"); code != 0 {
		t.Fatalf("exit %d: %s%s", code, out, errOut)
	}
	check("fd00__3.pem", "[fd00::3]")
	check("zk1.example.com.pem", "zk1.example.com")
	before, _ := os.ReadFile(filepath.Join(dir, "zk1.example.com.pem"))
	if code, _, errOut = zooid(t, "init-tls", "--dir", dir, "zk1.example.com"); code != 1 || !strings.Contains(errOut, "--renew") {
		t.Errorf("again: exit %d: %s", code, errOut)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "zk1.example.com.pem")); string(after) != string(before) {
		t.Error("the file was changed")
	}
	if code, _, errOut = zooid(t, "init-tls", "--dir", dir, "--days", "30", "--renew", "zk1.example.com"); code != 0 {
		t.Errorf("renew: exit %d: %s", code, errOut)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "zk1.example.com.pem")); string(after) == string(before) {
		t.Error("the certificate was not renewed")
	}
	check("zk1.example.com.pem", "zk1.example.com")
	// What cannot be right is said.
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"init-tls"}, 2, "requires at least 1 arg"},
		{[]string{"init-tls", "--dir", dir, "zk4.example.com:2888"}, 2, "without a port"},
		{[]string{"init-tls", "--dir", dir, "zk4,,zk5"}, 2, "host names"},
		{[]string{"init-tls", "--dir", dir, "--days", "0", "zk4"}, 2, "--days"},
	} {
		if code, _, errOut := zooid(t, c.args...); code != c.code || !strings.Contains(errOut, c.says) {
			t.Errorf("%q: exit %d: %s", c.args, code, errOut)
		}
	}
	if err := os.Remove(filepath.Join(dir, "authority-key.pem")); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut = zooid(t, "init-tls", "--dir", dir, "zk6"); code != 1 || !strings.Contains(errOut, "both of its files") {
		t.Errorf("without its key: exit %d: %s", code, errOut)
	}
}
