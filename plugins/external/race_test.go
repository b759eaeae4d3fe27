//go:build race

package external

// The whole kit makes a hundred thousand calls through the border, which under the race detector take minutes. Races do not depend on which operation of a disk fails.
const kitStride = 11
