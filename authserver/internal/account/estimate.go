package account

import "time"

// learn updates the usual time of a login with the time of one more.
func (g *Gate) learn(took time.Duration) {
	if g.usual == 0 {
		g.usual = took
		return
	}
	g.usual += (took - g.usual) / 8 // the last dozen logins count most
}

// waitOfNewest estimates how long the newest waiting work of address will wait; it is zero before
// the first login was measured. The caller holds mu.
//
// Each place becomes free once in the usual time of a login, so the wait is that time for each
// login that goes first, and for its own turn, divided by the number of places. It assumes that
// no more logins arrive and that those that run now have just begun.
func (g *Gate) waitOfNewest(address string) time.Duration {
	return time.Duration(g.aheadOfNewest(address)+1) * g.usual / time.Duration(g.places)
}

// aheadOfNewest counts the waiting work that gets a place before the newest work of address. As
// addresses take turns, each other one goes first at most as often as address has work, and those
// whose login failed come after the others, except for every fourth place. The caller holds mu.
func (g *Gate) aheadOfNewest(address string) int {
	mine := g.sources[address]
	own := len(mine.queue) - 1
	taking, others := own, 0 // of those that address takes turns with, and of all others
	for a, s := range g.sources {
		switch {
		case a == address:
		case g.failed[a] != g.failed[address]:
			others += len(s.queue)
		case s.turn < mine.turn:
			taking += min(len(s.queue), own+1)
		default:
			taking += min(len(s.queue), own)
		}
	}
	if g.failed[address] {
		return taking + min(others, (taking+1)*(failedEvery-1))
	}
	return taking + min(others, taking/(failedEvery-1))
}
