package tlsmaterial

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ClientAuth says what a server does about certificates of clients.
type ClientAuth string

// The values of ssl.clientAuth.
const (
	ClientAuthNone ClientAuth = "none" // not asked for
	ClientAuthWant ClientAuth = "want" // asked for; verified when sent
	ClientAuthNeed ClientAuth = "need" // without a certificate there is no connection
)

// Options are the settings of one kind of connection. Read fills them; New checks them.
type Options struct {
	// Prefix stands before the names of settings in errors: "ssl." or "ssl.quorum.".
	Prefix     string
	KeyStore   Store
	TrustStore Store

	Protocol         string   // TLSv1.2 or TLSv1.3: decides EnabledProtocols when that is empty
	EnabledProtocols []string // Java names
	CipherSuites     []string // Java names; empty means Go's choice
	ClientAuth       ClientAuth

	// HostnameVerification makes ClientConfig check that the server's certificate is for the host that was dialled.
	HostnameVerification bool
	// ClientHostnameVerification makes ServerConfig check that a client's certificate is for the address it comes from.
	ClientHostnameVerification bool
	// ReverseLookup lets that check use the names that DNS gives for the address.
	ReverseLookup bool

	// Reload makes new connections use what the files contain now.
	Reload bool
	// SniffTimeout is how long a connection may take to show whether it speaks TLS.
	SniffTimeout time.Duration
}

// Setting describes one key for help texts and the declaration of options, without its prefix.
type Setting struct {
	Key, Default, Doc string
	Secret            bool
}

// Settings are the keys that Read asks for. Defaults that differ between client and peer connections are those of client connections.
var Settings = []Setting{
	{Key: "keyStore.location", Doc: "file with the server's key and certificates"},
	{Key: "keyStore.password", Doc: "password of the key store", Secret: true},
	{Key: "keyStore.passwordPath", Doc: "file with the password of the key store; wins over the password"},
	{Key: "keyStore.type", Doc: "PEM, PKCS12 or JKS; empty: by the name of the file"},
	{Key: "trustStore.location", Doc: "file with the certificates that are trusted to sign others"},
	{Key: "trustStore.password", Doc: "password of the trust store", Secret: true},
	{Key: "trustStore.passwordPath", Doc: "file with the password of the trust store; wins over the password"},
	{Key: "trustStore.type", Doc: "PEM, PKCS12 or JKS; empty: by the name of the file"},
	{Key: "protocol", Doc: "TLSv1.2 or TLSv1.3"},
	{Key: "enabledProtocols", Doc: "versions that may be spoken, separated by commas; empty: TLSv1.3 and TLSv1.2, or TLSv1.2 alone when that is the protocol"},
	{Key: "ciphersuites", Doc: "cipher suites by their Java names, separated by commas; empty: a good choice"},
	{Key: "clientAuth", Default: "need", Doc: "certificates of clients: none, want or need"},
	{Key: "hostnameVerification", Default: "true", Doc: "check that a server's certificate is for its host"},
	{Key: "clientHostnameVerification", Default: "false", Doc: "check that a client's certificate is for its address"},
	{Key: "allowReverseDnsLookup", Default: "false", Doc: "let that check use the names that DNS gives for the address"},
	{Key: "crl", Default: "false", Doc: "check certificates for revocation: not supported"},
	{Key: "ocsp", Default: "false", Doc: "check certificates for revocation: not supported"},
	{Key: "context.supplier.class", Doc: "a Java class: not supported"},
	{Key: "handshakeDetectionTimeoutMillis", Default: "5000", Doc: "time in which a connection must show whether it speaks TLS"},
}

// Read takes the settings by their keys without prefix; get says whether a key is set. Between servers (prefix "ssl.quorum.") clientHostnameVerification and
// allowReverseDnsLookup are on by default. Reload is not among the keys: its name (client.certReload, sslQuorumReloadCertFiles) follows no prefix.
func Read(prefix string, get func(key string) (value string, set bool)) (Options, error) {
	r := reader{prefix: prefix, get: get, defaults: make(map[string]string)}
	for _, s := range Settings {
		r.defaults[s.Key] = s.Default
	}
	if prefix == "ssl.quorum." {
		r.defaults["clientHostnameVerification"] = "true"
		r.defaults["allowReverseDnsLookup"] = "true"
	}
	o := Options{
		Prefix:                     prefix,
		KeyStore:                   r.store("keyStore"),
		TrustStore:                 r.store("trustStore"),
		Protocol:                   r.text("protocol"),
		EnabledProtocols:           r.list("enabledProtocols"),
		CipherSuites:               r.list("ciphersuites"),
		ClientAuth:                 ClientAuth(strings.ToLower(r.text("clientAuth"))),
		HostnameVerification:       r.bool("hostnameVerification"),
		ClientHostnameVerification: r.bool("clientHostnameVerification"),
		ReverseLookup:              r.bool("allowReverseDnsLookup"),
	}
	// ZooKeeper checks a client's host name only where it checks host names at all.
	o.ClientHostnameVerification = o.ClientHostnameVerification && o.HostnameVerification
	millis, err := strconv.ParseInt(r.text("handshakeDetectionTimeoutMillis"), 10, 32)
	if err != nil || millis <= 0 {
		r.fail("handshakeDetectionTimeoutMillis", "want a number of milliseconds above 0")
	}
	o.SniffTimeout = time.Duration(millis) * time.Millisecond
	for _, key := range []string{"crl", "ocsp"} {
		if r.bool(key) {
			r.fail(key, "this server cannot check certificates for revocation. Unset it, and use certificates that live shortly")
		}
	}
	if r.text("context.supplier.class") != "" {
		r.fail("context.supplier.class", "a Java class cannot be loaded here. Unset it, and name the stores with "+prefix+"keyStore.location and "+prefix+"trustStore.location")
	}
	return o, r.err
}

// reader keeps the first error.
type reader struct {
	prefix   string
	get      func(string) (string, bool)
	defaults map[string]string
	err      error
}

func (r *reader) text(key string) string {
	if value, set := r.get(key); set {
		return strings.TrimSpace(value)
	}
	return r.defaults[key]
}

func (r *reader) list(key string) []string {
	var words []string
	for _, w := range strings.Split(r.text(key), ",") {
		if w = strings.TrimSpace(w); w != "" {
			words = append(words, w)
		}
	}
	return words
}

func (r *reader) bool(key string) bool {
	text := r.text(key)
	if !strings.EqualFold(text, "true") && !strings.EqualFold(text, "false") && text != "" {
		r.fail(key, "want true or false")
	}
	return strings.EqualFold(text, "true")
}

func (r *reader) store(key string) Store {
	password, _ := r.get(key + ".password") // spaces in a password count
	return Store{
		Setting:      r.prefix + key,
		Location:     r.text(key + ".location"),
		Type:         r.text(key + ".type"),
		Password:     password,
		PasswordPath: r.text(key + ".passwordPath"),
	}
}

func (r *reader) fail(key, text string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s%s=%s: %s", r.prefix, key, r.text(key), text)
	}
}
