package tlsmaterial

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// An encrypted PKCS#8 key (RFC 5958) with PBES2 (RFC 8018): PBKDF2 makes a key out of the password, a block cipher in CBC mode encrypts.
//
//	EncryptedPrivateKeyInfo { PBES2 { PBKDF2 { salt, iterations, [key length], [prf] }, cipher { iv } }, encrypted }
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Parameters struct {
	Derivation, Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Parameters struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// maxIterations keeps a damaged file from costing hours.
const maxIterations = 10_000_000

var (
	oidPBES2  = "1.2.840.113549.1.5.13"
	oidPBKDF2 = "1.2.840.113549.1.5.12"
)

var prfs = map[string]func() hash.Hash{
	"":                    sha1.New, // absent
	"1.2.840.113549.2.7":  sha1.New,
	"1.2.840.113549.2.8":  sha256.New224,
	"1.2.840.113549.2.9":  sha256.New,
	"1.2.840.113549.2.10": sha512.New384,
	"1.2.840.113549.2.11": sha512.New,
}

var ciphers = map[string]struct {
	keyLength int
	new       func([]byte) (cipher.Block, error)
}{
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
}

var errKeyEncryption = errors.New("its key is encrypted in a way that is not supported. Convert it: openssl pkcs8 -topk8 -v2 aes256 -in OLD -out NEW")

// decryptPKCS8 returns the plain PKCS#8 bytes, or ErrPassword.
func decryptPKCS8(der []byte, password string) ([]byte, error) {
	var sealed encryptedKey
	var scheme pbes2Parameters
	var derivation pbkdf2Parameters
	var iv []byte
	if _, err := asn1.Unmarshal(der, &sealed); err != nil {
		return nil, fmt.Errorf("its encrypted key: %w", err)
	}
	if sealed.Algorithm.Algorithm.String() != oidPBES2 {
		return nil, errKeyEncryption
	}
	if _, err := asn1.Unmarshal(sealed.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, fmt.Errorf("its encrypted key: %w", err)
	}
	if scheme.Derivation.Algorithm.String() != oidPBKDF2 {
		return nil, errKeyEncryption
	}
	if _, err := asn1.Unmarshal(scheme.Derivation.Parameters.FullBytes, &derivation); err != nil {
		return nil, fmt.Errorf("its encrypted key: %w", err)
	}
	if _, err := asn1.Unmarshal(scheme.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, fmt.Errorf("its encrypted key: %w", err)
	}
	prf, knownPRF := prfs[derivation.PRF.Algorithm.String()]
	block, knownCipher := ciphers[scheme.Cipher.Algorithm.String()]
	if !knownPRF || !knownCipher {
		return nil, errKeyEncryption
	}
	if derivation.Iterations < 1 || derivation.Iterations > maxIterations {
		return nil, fmt.Errorf("its encrypted key asks for %d iterations; up to %d are accepted", derivation.Iterations, maxIterations)
	}
	key, err := pbkdf2.Key(prf, password, derivation.Salt, derivation.Iterations, block.keyLength)
	if err != nil {
		return nil, fmt.Errorf("its encrypted key: %w", err)
	}
	c, err := block.new(key)
	if err != nil {
		return nil, fmt.Errorf("its encrypted key: %w", err)
	}
	if len(iv) != c.BlockSize() || len(sealed.Data) == 0 || len(sealed.Data)%c.BlockSize() != 0 {
		return nil, errors.New("its encrypted key is damaged")
	}
	plain := make([]byte, len(sealed.Data))
	cipher.NewCBCDecrypter(c, iv).CryptBlocks(plain, sealed.Data)
	return unpad(plain, c.BlockSize())
}

// unpad takes off the padding of PKCS#7, which a wrong password leaves in disorder.
func unpad(plain []byte, blockSize int) ([]byte, error) {
	n := int(plain[len(plain)-1])
	if n == 0 || n > blockSize {
		return nil, ErrPassword
	}
	for _, b := range plain[len(plain)-n:] {
		if int(b) != n {
			return nil, ErrPassword
		}
	}
	return plain[:len(plain)-n], nil
}
