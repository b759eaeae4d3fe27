// Package auth turns credentials into identities: the schemes digest, ip, x509, sasl and ensemble, and the words world and super, which no
// credential proves (spec client-protocol, 9; client-semantics, 3).
//
// Each scheme is one file and one kernel.Authenticator, immutable after New and free of goroutines. x509 prints and reads names as Java does
// (dn.go, dnparse.go). sasl alone has an exchange in steps, which is package sdk/sasl.
package auth
