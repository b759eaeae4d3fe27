//go:build !race

package zooidtest_test

const (
	raceDetector = false
	slowdown     = 1
)
