package outbound_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
)

// lookup is a function that implements outbound.Resolver for names with one address each.
type lookup func(host string) string

func (f lookup) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(f(strings.TrimSuffix(host, ".")))}, nil
}

// A host, an address, or a site with many addresses whose responses are slow has a part of the requests of a kind that
// strangers cause, and others are reached meanwhile.
func TestRequestsAtOnceToOneHost(t *testing.T) {
	t.Parallel()
	const other = "other.example"
	for name, tt := range map[string]struct {
		url     string // of request number %d
		address func(host string) string
	}{
		"one host":    {"https://slow.example/%d", func(string) string { return "93.184.216.34" }},
		"one address": {"https://n%d.slow.example/", func(string) string { return "93.184.216.34" }},
		"one site": {"https://n%d.slow.example/", func(host string) string {
			number, _, _ := strings.Cut(strings.TrimPrefix(host, "n"), ".")
			return "2606:4700:1:" + number + "::1"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resolver := lookup(func(host string) string {
				if host == other {
					return "198.35.26.96"
				}
				return tt.address(host)
			})
			f := start(t, nil, func(cfg *outbound.Config) { cfg.Resolver = resolver })
			reached, release := make(chan struct{}, 100), make(chan struct{})
			outbound.SetDial(f.guard, outbound.ClientMetadata, nil, func(context.Context, string, string) (net.Conn, error) {
				reached <- struct{}{}
				<-release
				return nil, errors.New("no connection")
			})
			get := func(url string) error {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := f.guard.Get(ctx, outbound.ClientMetadata, url)
				return err
			}
			var group sync.WaitGroup
			for i := range outbound.MaxOfStranger {
				group.Go(func() { _ = get(fmt.Sprintf(tt.url, i)) })
				<-reached
			}
			if err := get(fmt.Sprintf(tt.url, outbound.MaxOfStranger)); !errors.Is(err, outbound.ErrBusy) {
				t.Errorf("one more: %v, want ErrBusy", err)
			}
			group.Go(func() { _ = get("https://" + other + "/") })
			<-reached
			close(release)
			group.Wait()
			if err := get(fmt.Sprintf(tt.url, outbound.MaxOfStranger)); err == nil || errors.Is(err, outbound.ErrBusy) {
				t.Errorf("later: %v, want another error", err)
			}
		})
	}
}

// A server that accepts connections and never responds to the TLS handshake does not keep its address busy.
func TestNoHandshake(t *testing.T) {
	t.Parallel()
	resolver := lookup(func(string) string { return "93.184.216.34" })
	f := start(t, nil, func(cfg *outbound.Config) { cfg.Resolver, cfg.Timeout = resolver, 50*time.Millisecond })
	outbound.SetDial(f.guard, outbound.ClientMetadata, nil, func(context.Context, string, string) (net.Conn, error) {
		conn, silent := net.Pipe()
		t.Cleanup(func() { _ = silent.Close() })
		return conn, nil
	})
	for i := range 3 * outbound.MaxOfStranger {
		f.wait(time.Second) // the limit on requests a second
		for busy, end := true, time.Now().Add(time.Minute); busy; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the address stays busy")
			}
			_, err := f.guard.Get(t.Context(), outbound.ClientMetadata, fmt.Sprintf("https://n%d.silent.example/", i))
			busy = errors.Is(err, outbound.ErrBusy)
			if !busy && !errors.Is(err, outbound.ErrUnavailable) {
				t.Fatalf("request %d: %v, want ErrUnavailable", i, err)
			}
		}
	}
}
