package tlsmaterial

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// decodePEM takes every private key and certificate out of a PEM file.
func decodePEM(content []byte, password string) ([]crypto.PrivateKey, []*x509.Certificate, error) {
	var keys []crypto.PrivateKey
	for block := range pemBlocks(content) {
		key, err := decodeKeyBlock(block, password)
		if err != nil {
			return nil, nil, err
		}
		if key != nil {
			keys = append(keys, key)
		}
	}
	certificates, err := decodePEMCertificates(content)
	return keys, certificates, err
}

// decodeKeyBlock returns nil for blocks that are no keys.
func decodeKeyBlock(block *pem.Block, password string) (crypto.PrivateKey, error) {
	if block.Headers["DEK-Info"] != "" {
		return nil, errors.New("its key is encrypted in OpenSSL's old way. Convert it: openssl pkcs8 -topk8 -in OLD -out NEW")
	}
	var key crypto.PrivateKey
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		var plain []byte
		if plain, err = decryptPKCS8(block.Bytes, password); err != nil {
			return nil, err
		}
		if key, err = x509.ParsePKCS8PrivateKey(plain); err != nil {
			return nil, ErrPassword // padding that fits by chance
		}
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("its private key: %w", err)
	}
	return key, nil
}

func decodePEMCertificates(content []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	found := false
	for block := range pemBlocks(content) {
		found = true
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" && block.Type != "X509 CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it: %w", len(certificates)+1, err)
		}
		certificates = append(certificates, c)
	}
	if !found {
		return nil, errors.New("it is not a PEM file")
	}
	return certificates, nil
}

func pemBlocks(content []byte) func(yield func(*pem.Block) bool) {
	return func(yield func(*pem.Block) bool) {
		for {
			block, rest := pem.Decode(content)
			if block == nil || !yield(block) {
				return
			}
			content = rest
		}
	}
}
