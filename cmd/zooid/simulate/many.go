package simulate

import (
	"cmp"
	"slices"
	"sync"
)

// Many runs seeds from o.Seed on, some at a time, and returns what they came to together, and those that failed in order. Each world is for one goroutine; they share nothing.
func Many(o Options, seeds, atOnce int) (total Result, failed []Result) {
	total = Result{Seed: o.Seed, Tally: map[string]int{}}
	next := make(chan uint64)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range min(atOnce, seeds) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for seed := range next {
				one := o
				one.Seed = seed
				r := Run(one)
				mu.Lock()
				total.Steps += r.Steps
				total.Virtual += r.Virtual
				for name, n := range r.Tally {
					total.Tally[name] += n
				}
				if r.Err != nil {
					failed = append(failed, r)
				}
				mu.Unlock()
			}
		}()
	}
	for i := range seeds {
		next <- o.Seed + uint64(i)
	}
	close(next)
	workers.Wait()
	slices.SortFunc(failed, func(a, b Result) int { return cmp.Compare(a.Seed, b.Seed) })
	return total, failed
}
