package statuslist_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// A client counts the revocations that its lists bring after the first fetch, each once, by their delay.
func TestClientCountsRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, _ := open(t, nil)
		p.publish(1, 2)
		expect(t, c, 1, true)
		if got := c.Delays(); got.Count != 0 {
			t.Errorf("the first fetch counts %d revocations", got.Count)
		}
		p.publish(1, 2, 3, 4)
		time.Sleep(10 * time.Second)
		expect(t, c, 4, true)
		p.publish(1, 2, 3, 4, 5)
		time.Sleep(10 * time.Second)
		got := c.Delays()
		if got.Count != 3 || got.Within[5*time.Second] != 3 || got.Sum < 0 || got.Sum > 15*time.Second {
			t.Errorf("revocations %+v, want 3 within 5 seconds", got)
		}
		p.instead(down)
		p.publish(1, 2, 3, 4, 5, 6)
		time.Sleep(40 * time.Second)
		p.instead(nil)
		time.Sleep(10 * time.Second)
		got = c.Delays()
		if got.Count != 4 || got.Within[30*time.Second] != 3 || got.Within[time.Minute] != 4 {
			t.Errorf("after an outage of 40 seconds: %+v", got)
		}
	})
}
