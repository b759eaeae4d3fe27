package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// authorityYears is how long the authority is valid: it outlives the certificates that it signs many times over.
const authorityYears = 20

func newInitTLSCommand() *cobra.Command {
	var dir string
	var days int
	var renew bool
	cmd := &cobra.Command{
		Use:   "init-tls NAME[,NAME...]...",
		Short: "Make an authority and certificates for the servers of an ensemble",
		Long: `Make what an ensemble needs to speak TLS between its servers, and to its clients: an authority of its own, and a key with a certificate for each server. An argument is a server: the host name or
address that its server.N line has, and more of them behind commas if clients know it by others. Names are verified against these, never by asking DNS for the name of an address.

Written to --dir: authority.pem, which goes to every server and client as the trust store; authority-key.pem, which signs and is to be kept away from the servers; and NAME.pem for each server, its key
store, readable by its owner only. An authority that is there already is used, so that servers are added with another call. Files of servers are not overwritten without --renew; servers take new
files without a restart where sslQuorumReloadCertFiles and client.certReload are true. ZooKeeper's own servers, from 3.5.5 on, and Java's clients read the same files.

Exit codes: 0 done, 1 nothing was overwritten that is there or a file cannot be written, 2 wrong arguments.`,
		Example: `  zooid init-tls --dir tls zk1.example.com zk2.example.com zk3.example.com,10.0.0.3
  zooid init-tls --dir tls --renew zk2.example.com`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if days < 1 {
				return &exitError{exitUsage, fmt.Errorf("--days=%d: want 1 or more", days)}
			}
			servers := make([][]string, len(args))
			for i, a := range args {
				servers[i] = strings.Split(a, ",")
				for _, name := range servers[i] {
					if name == "" || strings.ContainsAny(name, `/\ :`) && net.ParseIP(name) == nil {
						return &exitError{exitUsage, fmt.Errorf("%q: want host names or addresses without a port, separated by commas", a)}
					}
				}
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			ca, err := openAuthority(dir)
			if err != nil {
				return err
			}
			for _, names := range servers {
				path := filepath.Join(dir, fileNameOf(names[0]))
				if _, err := os.Stat(path); err == nil && !renew {
					return fmt.Errorf("%s is there already; --renew makes a new key and certificate", path)
				}
				if err := ca.sign(path, names, time.Duration(days)*24*time.Hour); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: for %s, %d days\n", path, strings.Join(names, ", "), days)
			}
			sayHow(cmd, dir, fileNameOf(servers[0][0]))
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "tls", "directory of the files")
	cmd.Flags().IntVar(&days, "days", 365, "days until the servers' certificates expire")
	cmd.Flags().BoolVar(&renew, "renew", false, "overwrite key and certificate of these servers")
	return cmd
}

// fileNameOf is the file of a server. An IPv6 address has colons, which some file systems do not take.
func fileNameOf(name string) string { return strings.ReplaceAll(name, ":", "_") + ".pem" }

// sayHow prints what is to be written into the configuration files.
func sayHow(cmd *cobra.Command, dir, file string) {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	fmt.Fprintf(cmd.OutOrStdout(), `
In zoo.cfg of each server, with its own key store:

    sslQuorum=true
    ssl.quorum.keyStore.location=%[1]s
    ssl.quorum.trustStore.location=%[2]s
    sslQuorumReloadCertFiles=true

An ensemble that runs gets there without a stop, by restarting one server after the other three times: with the two stores, sslQuorum=false and portUnification=true; then with sslQuorum=true; then
without portUnification. For clients:

    secureClientPort=2281
    ssl.keyStore.location=%[1]s
    ssl.trustStore.location=%[2]s
    ssl.clientAuth=none
    client.certReload=true
`, filepath.Join(dir, file), filepath.Join(dir, authorityFile))
}

const (
	authorityFile    = "authority.pem"
	authorityKeyFile = "authority-key.pem"
)

// authority signs the certificates of servers.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// openAuthority reads the authority in dir, or makes one if there is none at all.
func openAuthority(dir string) (*authority, error) {
	certificatePath, keyPath := filepath.Join(dir, authorityFile), filepath.Join(dir, authorityKeyFile)
	text, certificateErr := os.ReadFile(certificatePath)
	keyText, keyErr := os.ReadFile(keyPath)
	if errors.Is(certificateErr, fs.ErrNotExist) && errors.Is(keyErr, fs.ErrNotExist) {
		return newAuthority(certificatePath, keyPath)
	}
	if err := errors.Join(certificateErr, keyErr); err != nil {
		return nil, fmt.Errorf("an authority needs both of its files: %w", err)
	}
	block, _ := pem.Decode(text)
	keyBlock, _ := pem.Decode(keyText)
	if block == nil || keyBlock == nil {
		return nil, fmt.Errorf("%s and %s are not in PEM", certificatePath, keyPath)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certificatePath, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyPath, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(certificate.PublicKey) {
		return nil, fmt.Errorf("%s is not the key of %s", keyPath, certificatePath)
	}
	if time.Now().After(certificate.NotAfter) {
		return nil, fmt.Errorf("%s has expired on %s; move it away for a new one, which every server and client has to be given", certificatePath, certificate.NotAfter.Format(time.DateOnly))
	}
	return &authority{certificate, key}, nil
}

func newAuthority(certificatePath, keyPath string) (*authority, error) {
	key, keyText, err := newKey()
	if err != nil {
		return nil, err
	}
	template, err := newTemplate("Zooid ensemble authority", time.Duration(authorityYears)*365*24*time.Hour)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	// The key first: a certificate without its key could not be used again.
	if err := os.WriteFile(keyPath, keyText, 0o600); err != nil {
		return nil, err
	}
	return &authority{certificate, key}, os.WriteFile(certificatePath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// sign writes a key and a certificate for a server with these names, atomically: a server that reloads its files never reads half of one.
func (a *authority) sign(path string, names []string, valid time.Duration) error {
	key, keyText, err := newKey()
	if err != nil {
		return err
	}
	template, err := newTemplate(names[0], valid)
	if err != nil {
		return err
	}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	text := append(keyText, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// newTemplate is a certificate that is valid from an hour ago, for servers whose clocks are behind.
func newTemplate(name string, valid time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid)}, nil
}
