//go:build race

package zooidtest_test

// The race detector makes everything several times slower.
const (
	raceDetector = true
	slowdown     = 4
)
