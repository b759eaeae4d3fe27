// Package tlsmaterial makes TLS configurations out of what ZooKeeper's ssl. settings name (spec server-surface, 6.1): key and trust stores as PEM, PKCS#12
// and JKS, protocol versions, cipher suites, client authentication, host names. It serves the client port (prefix "ssl.") and the peer ports ("ssl.quorum.").
//
// Stages: Read takes the settings (options.go), New loads the stores (store.go, with keystores.go for PKCS#12 and JKS, pem.go, and pkcs8.go for PEM's encrypted keys) and checks everything, ServerConfig and ClientConfig
// give *tls.Config (protocol.go, verify.go). material.go notices changed files during a handshake; there is no goroutine. sniff.go tells TLS from plain connections.
package tlsmaterial
