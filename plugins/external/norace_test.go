//go:build !race

package external

const kitStride = 1
