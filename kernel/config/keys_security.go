package config

var securityKeys = []Key{
	{Name: "DigestAuthenticationProvider.enabled", Kind: Lenient, Default: "true", Group: "Security", field: func(c *Config) any { return &c.Auth.DigestEnabled },
		Doc: "The scheme digest."},
	{Name: "DigestAuthenticationProvider.superDigest", Secret: true, Group: "Security", field: func(c *Config) any { return &c.Auth.SuperDigest },
		Doc: "The digest user with all rights: super: and the base64 of its digest."},
	{Name: "DigestAuthenticationProvider.digestAlg", Kind: Choice, Default: "SHA1", Choices: []string{"SHA1", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512", "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512"}, Group: "Security", field: func(c *Config) any { return &c.Auth.DigestAlgorithm },
		Doc: "Hash behind digest ids. Must be the same on all servers."},
	{Name: "X509AuthenticationProvider.superUser", Group: "Security", field: func(c *Config) any { return &c.Auth.X509SuperUser },
		Doc: "Distinguished name of the client certificate with all rights."},
	{Name: "superUser", Group: "Security", field: func(c *Config) any { return &c.Auth.SASLSuperUser },
		Doc: "SASL user with all rights; superUser.NAME adds further ones."},
	{Name: "SASLAuthenticationProvider.superPassword", Secret: true, Group: "Security", field: func(c *Config) any { return &c.Auth.SuperPassword }, Doc: "Old form of a SASL user with all rights."},
	{Name: "letAnySaslUserDoX", Group: "Security", field: func(c *Config) any { return &c.Auth.AnySASLUser },
		Doc: "An ACL id of the scheme sasl that every SASL user matches."},
	{Name: "IPAuthenticationProvider.usexforwardedfor", Kind: Lenient, Default: "false", Group: "Security", Status: Later, field: func(c *Config) any { return &c.Auth.TrustForwardedFor },
		Doc: "The admin server trusts the header X-Forwarded-For for the scheme ip."},
	{Name: "ensembleAuthName", Kind: List, Group: "Security", field: func(c *Config) any { return &c.Auth.EnsembleNames },
		Doc: "Names that the scheme ensemble accepts; a client that gives another one is disconnected."},
	{Name: "sessionRequireClientSASLAuth", Kind: Lenient, Default: "false", Group: "Security", field: func(c *Config) any { return &c.Auth.RequireSASL },
		Doc: "Short for enforce.auth.enabled=true with enforce.auth.schemes=sasl."},
	{Name: "enforce.auth.enabled", Kind: Lenient, Default: "false", Group: "Security", field: func(c *Config) any { return &c.Auth.Enforce },
		Doc: "Sessions that did not authenticate with one of enforce.auth.schemes are refused."},
	{Name: "enforce.auth.schemes", Kind: List, Group: "Security", field: func(c *Config) any { return &c.Auth.EnforceSchemes },
		Doc: "Schemes that satisfy enforce.auth.enabled."},
	{Name: "allowSaslFailedClients", Kind: Lenient, Default: "false", Group: "Security", field: func(c *Config) any { return &c.Auth.AllowFailedSASL },
		Doc: "Clients whose SASL failed stay connected without that identity."},
	{Name: "enableEagerACLCheck", Kind: Lenient, Default: "false", Group: "Security", field: func(c *Config) any { return &c.Auth.EagerACL },
		Doc: "Check the rights of a write before it is sent to the leader, too: a refused one then takes no transaction. In ZooKeeper a standalone server leaves it out; Zooid does not."},
	{Name: "skipACL", Kind: OnlyYes, Default: "no", Group: "Security", field: func(c *Config) any { return &c.Auth.SkipACL },
		Doc: "yes: no ACL is checked at all."},
	{Name: "kerberos.removeHostFromPrincipal", Kind: Lenient, Default: "false", Group: "Security", field: func(c *Config) any { return &c.Auth.RemoveHost }, Doc: "Drop the host from Kerberos names."},
	{Name: "kerberos.removeRealmFromPrincipal", Kind: Lenient, Default: "false", Group: "Security", field: func(c *Config) any { return &c.Auth.RemoveRealm }, Doc: "Drop the realm from Kerberos names."},
	{Name: "kerberos.canonicalizeHostNames", Kind: Lenient, Default: "false", Group: "Security", Status: Later, Doc: "Look up the canonical name of a host for Kerberos."},
	{Name: "kerberos.minReLoginTimeMs", Kind: Whole, Default: "60000", Unit: "ms", Group: "Security", Status: Later, Doc: "Shortest time between two Kerberos logins."},
	{Name: "security.auth_to_local", Kind: Choice, Default: "DEFAULT", Choices: []string{"DEFAULT"}, Group: "Security", field: func(c *Config) any { return &c.Auth.AuthToLocal }, Doc: "Rules from Kerberos names to users."},
	{Name: "requireKerberosConfig", Kind: Lenient, Default: "false", Group: "Security", Status: Later, Doc: "Refuse to start without a Kerberos configuration."},
	{Name: "server.realm", Group: "Security", Status: Later, Doc: "Kerberos realm of the server."},
	{Name: "server.principal", Group: "Security", Status: Later, Doc: "Kerberos name of the server."},
	{Name: "sasl.serverconfig", Default: "Server", Group: "Security", field: func(c *Config) any { return &c.Auth.JAASSection },
		Doc: "Section of the JAAS file that holds the server's SASL users."},
	{Name: "java.security.auth.login.config", Reach: FlagOnly, Kind: Path, Group: "Security", field: func(c *Config) any { return &c.Auth.JAASFile },
		Doc: "JAAS file with the SASL users."},
	{Name: "audit.enable", Kind: Lenient, Default: "false", Group: "Security", Status: Later, Doc: "Log who changed what."},
	{Name: "audit.impl.class", Kind: ClassName, Choices: []string{"org.apache.zookeeper.audit.Slf4jAuditLogger"}, Group: "Security", Status: Later, Doc: "Where the audit log goes."},
}

// tlsKeys are two sets of the same keys, for clients and for peers (spec server-surface, 6.1), and the switches of TLS between peers.
var tlsKeys = append(append([]Key{
	{Name: "sslQuorum", Reach: FileOnly, Kind: Strict, Default: "false", Group: "TLS", field: func(c *Config) any { return &c.Quorum.TLS },
		Doc: "TLS between servers, elections included."},
	{Name: "portUnification", Reach: FileOnly, Kind: Strict, Default: "false", Group: "TLS", field: func(c *Config) any { return &c.Quorum.PortUnification },
		Doc: "Servers accept peers with and without TLS."},
	{Name: "sslQuorumReloadCertFiles", Reach: FileOnly, Kind: Strict, Default: "false", Group: "TLS", field: func(c *Config) any { return &c.QuorumTLS.Reload },
		Doc: "Read key and trust store of peers again when the files change."},
	{Name: "client.certReload", Kind: Lenient, Default: "false", Group: "TLS", field: func(c *Config) any { return &c.TLS.Reload },
		Doc: "Read key and trust store for clients again when the files change."},
	{Name: "fips-mode", Kind: Lenient, Default: "false", Group: "TLS", field: func(c *Config) any { return &c.FIPSMode },
		Doc: "No SASL DIGEST-MD5. ZooKeeper 3.9 has it on by default; Zooid only if it is asked for."},
	{Name: "ssl.authProvider", Kind: Choice, Default: "x509", Choices: []string{"x509"}, Group: "TLS", Refuse: "other providers are Java classes",
		Doc: "Scheme of the identity that a client certificate gives."},
}, tlsSet("ssl.", "clients", func(c *Config) *TLS { return &c.TLS }, "false")...),
	tlsSet("ssl.quorum.", "peers", func(c *Config) *TLS { return &c.QuorumTLS }, "true")...)

func tlsSet(prefix, who string, set func(c *Config) *TLS, strictNames string) []Key {
	key := func(name string, kind Kind, value, doc string, field func(t *TLS) any) Key {
		return Key{Name: prefix + name, Kind: kind, Default: value, Group: "TLS", Doc: doc + " (for " + who + ").", field: func(c *Config) any { return field(set(c)) }}
	}
	types := []string{"JKS", "PEM", "PKCS12", "BCFKS"}
	keys := []Key{
		key("keyStore.location", Path, "", "File with key and certificate", func(t *TLS) any { return &t.KeyStore.Path }),
		key("keyStore.password", Text, "", "Password of that file", func(t *TLS) any { return &t.KeyStore.Password }),
		key("keyStore.passwordPath", Path, "", "File that holds the password instead; it wins", func(t *TLS) any { return &t.KeyStore.PasswordPath }),
		key("keyStore.type", Choice, "", "Format of that file; by its suffix if not given", func(t *TLS) any { return &t.KeyStore.Type }),
		key("trustStore.location", Path, "", "File with the certificates that are trusted", func(t *TLS) any { return &t.TrustStore.Path }),
		key("trustStore.password", Text, "", "Password of that file", func(t *TLS) any { return &t.TrustStore.Password }),
		key("trustStore.passwordPath", Path, "", "File that holds the password instead; it wins", func(t *TLS) any { return &t.TrustStore.PasswordPath }),
		key("trustStore.type", Choice, "", "Format of that file; by its suffix if not given", func(t *TLS) any { return &t.TrustStore.Type }),
		key("protocol", Choice, "", "Highest TLS version", func(t *TLS) any { return &t.Protocol }),
		key("enabledProtocols", List, "", "TLS versions that are accepted", func(t *TLS) any { return &t.EnabledProtocols }),
		key("ciphersuites", List, "", "Cipher suites by their Java names", func(t *TLS) any { return &t.CipherSuites }),
		key("clientAuth", Choice, "need", "Certificates of those who connect: none, want, need", func(t *TLS) any { return &t.ClientAuth }),
		key("hostnameVerification", Lenient, "true", "Check names in certificates", func(t *TLS) any { return &t.HostnameVerification }),
		key("clientHostnameVerification", Lenient, strictNames, "Check the name of who connects, too", func(t *TLS) any { return &t.ClientHostnameVerification }),
		key("handshakeDetectionTimeoutMillis", Whole, "5000", "Time to tell TLS from plain on a shared port", func(t *TLS) any { return &t.DetectionTimeout }),
	}
	for i := range keys {
		switch keys[i].Name[len(prefix):] {
		case "keyStore.password", "trustStore.password":
			keys[i].Secret = true
		case "keyStore.type", "trustStore.type":
			keys[i].Choices = types
		case "protocol":
			keys[i].Choices = []string{"TLSv1.3", "TLSv1.2", "TLS"}
		case "clientAuth":
			keys[i].Choices = []string{"none", "want", "need"}
		case "handshakeDetectionTimeoutMillis":
			keys[i].Unit = "ms"
		}
	}
	return append(keys,
		Key{Name: prefix + "allowReverseDnsLookup", Kind: Lenient, Default: strictNames, Group: "TLS", Status: Ignored,
			Doc: "Take a peer's name from reverse DNS. Zooid never does; it compares with the names in the configuration."},
		Key{Name: prefix + "crl", Kind: Lenient, Default: "false", Group: "TLS", Refuse: "lists of revoked certificates are not supported yet, and leaving the check out would be unsafe", Doc: "Check lists of revoked certificates."},
		Key{Name: prefix + "ocsp", Kind: Lenient, Default: "false", Group: "TLS", Refuse: "OCSP is not supported yet, and leaving the check out would be unsafe", Doc: "Ask for revoked certificates by OCSP."},
		Key{Name: prefix + "context.supplier.class", Kind: Text, Group: "TLS", Refuse: "it names a Java class, which Zooid cannot run; set " + prefix + "keyStore.* and " + prefix + "trustStore.* instead", Doc: "A Java plug-in of ZooKeeper."},
		Key{Name: prefix + "sslProvider", Kind: Text, Group: "TLS", Status: Ignored, Doc: "TLS library of a Java client."},
	)
}
