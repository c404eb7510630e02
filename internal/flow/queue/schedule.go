package queue

import "time"

// schedule is how long to wait after each failed attempt: soon at first, since
// most deferrals are greylisting; then at least the 30 minutes that RFC 5321
// 4.5.4.1 asks for; four hours at most, so that a host that comes back after a
// day is found the same day.
var schedule = [...]time.Duration{
	5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute,
	80 * time.Minute, 160 * time.Minute, 4 * time.Hour,
}

// Delay is the wait after the attempt of this number (from 1). wish is the
// peer's own, obeyed within [1 minute, 4 hours] if it is longer than ours.
// spread in [0,1) adds up to a tenth, so that what failed together does not
// come back together.
func Delay(attempt int, wish time.Duration, spread float64) time.Duration {
	d := schedule[min(max(attempt, 1), len(schedule))-1]
	d = min(max(d, wish), schedule[len(schedule)-1])
	return d + time.Duration(float64(d)*spread/10)
}

// spreadOf gives a recipient its own place in [0,1), always the same.
func spreadOf(id int64) float64 {
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio spreads neighbours far apart
	return float64(uint64(id)*golden>>11) / (1 << 53)
}
