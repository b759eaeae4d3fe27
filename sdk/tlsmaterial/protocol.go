package tlsmaterial

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// versionNames are Java's names of protocol versions.
var versionNames = map[string]uint16{"TLSV1": tls.VersionTLS10, "TLSV1.0": tls.VersionTLS10, "TLSV1.1": tls.VersionTLS11, "TLSV1.2": tls.VersionTLS12, "TLSV1.3": tls.VersionTLS13}

// protocol is what Options say about versions and suites in Go's terms.
type protocol struct {
	min, max uint16
	suites   []uint16 // nil: Go's choice. They count for TLS 1.2 and older; those of TLS 1.3 are fixed in Go
	warnings []string
}

// resolveProtocol checks the settings. A suite that Go does not have is a warning as long as one is left.
func (o Options) resolveProtocol() (protocol, error) {
	p := protocol{min: tls.VersionTLS12, max: tls.VersionTLS13}
	names, setting := o.EnabledProtocols, "enabledProtocols"
	if len(names) == 0 && o.Protocol != "" {
		names, setting = []string{o.Protocol}, "protocol"
		if strings.EqualFold(o.Protocol, "TLSv1.3") {
			names = append(names, "TLSv1.2")
		}
	}
	if len(names) > 0 {
		p.min, p.max = tls.VersionTLS13, 0
	}
	spoken := make(map[uint16]bool)
	for _, name := range names {
		if strings.EqualFold(name, "SSLv2Hello") || strings.EqualFold(name, "TLS") { // no versions: a way to greet, and Java's word for "its default"
			continue
		}
		version, known := versionNames[strings.ToUpper(name)]
		if !known {
			return p, fmt.Errorf("%s%s=%s: %q is not spoken here; use TLSv1.3 and TLSv1.2", o.Prefix, setting, strings.Join(names, ","), name)
		}
		spoken[version] = true
		p.min, p.max = min(p.min, version), max(p.max, version)
	}
	if len(spoken) == 0 {
		p.min, p.max = tls.VersionTLS12, tls.VersionTLS13
	}
	for version := p.min; version <= p.max; version++ {
		if len(spoken) > 0 && !spoken[version] {
			p.warnings = append(p.warnings, fmt.Sprintf("%s%s leaves a gap: %s is spoken too", o.Prefix, setting, tls.VersionName(version)))
		}
	}
	if p.min < tls.VersionTLS12 {
		p.warnings = append(p.warnings, fmt.Sprintf("%s%s allows %s, which is not safe", o.Prefix, setting, tls.VersionName(p.min)))
	}
	return p, o.resolveSuites(&p)
}

// resolveSuites maps Java's suite names, which are the ones of the standards and of Go. Java's oldest begin with SSL_.
func (o Options) resolveSuites(p *protocol) error {
	if len(o.CipherSuites) == 0 {
		return nil
	}
	byName := make(map[string]*tls.CipherSuite)
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		byName[s.Name] = s
	}
	newer := false // a suite of TLS 1.3 was named
	for _, name := range o.CipherSuites {
		suite := byName["TLS_"+strings.TrimPrefix(strings.TrimPrefix(strings.ToUpper(name), "SSL_"), "TLS_")]
		switch {
		case suite == nil:
			p.warnings = append(p.warnings, fmt.Sprintf("%sciphersuites: %s is not available and is left out", o.Prefix, name))
		case len(suite.SupportedVersions) == 1 && suite.SupportedVersions[0] == tls.VersionTLS13:
			newer = true
		default:
			if suite.Insecure {
				p.warnings = append(p.warnings, fmt.Sprintf("%sciphersuites allows %s, which is not safe", o.Prefix, name))
			}
			p.suites = append(p.suites, suite.ID)
		}
	}
	// Where the list has no suite of a version, that version cannot be spoken.
	if !newer {
		p.max = min(p.max, tls.VersionTLS12)
	}
	if len(p.suites) == 0 {
		p.min = max(p.min, tls.VersionTLS13)
	}
	if p.min > p.max || !newer && len(p.suites) == 0 {
		return fmt.Errorf("%sciphersuites=%s: none of these can be used with the enabled protocols; unset it for a good choice", o.Prefix, strings.Join(o.CipherSuites, ","))
	}
	return nil
}
