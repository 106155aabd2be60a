package account

import (
	"strings"
	"time"
)

// PlaceMemory is the longest time for which the places of logins are kept.
const PlaceMemory = 90 * 24 * time.Hour

// Bounds of what is read of a User-Agent header and of what is kept, in bytes.
const (
	maxUserAgent = 512
	maxAgent     = 40
)

// Place is where a login came from. The zero Place is not known.
type Place struct {
	// Address is the IP address, without the port.
	Address string
	// Agent says which browser or program it was, such as "Firefox on Linux". It is what the browser or program
	// claims, in printable ASCII of at most 40 bytes.
	Agent string
}

// NewPlace returns the place of a login, given its IP address and User-Agent header.
func NewPlace(address, userAgent string) Place {
	return Place{Address: address, Agent: agentOf(userAgent)}
}

// named is a name, and what a User-Agent header has in it that stands for it.
type named struct{ token, name string }

// Browsers and systems in the order in which they are looked for: Edge claims to be Chrome, which claims to be
// Safari; Android claims to be Linux.
var (
	browsers = []named{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"},
		{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"Chrome/", "Chrome"}, {"CriOS/", "Chrome"},
		{"Safari/", "Safari"},
	}
	systems = []named{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"},
		{"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	}
)

// agentOf returns the browser and system of a User-Agent header (RFC 9110 section 10.1.5), or else its first product.
func agentOf(userAgent string) string {
	userAgent = userAgent[:min(len(userAgent), maxUserAgent)]
	browser, system := nameIn(userAgent, browsers), nameIn(userAgent, systems)
	if !strings.HasPrefix(userAgent, "Mozilla/") || browser == "" {
		return productOf(userAgent)
	}
	if system == "" {
		return browser
	}
	return browser + " on " + system
}

// nameIn returns the first name whose token is in the text; empty if none is.
func nameIn(text string, names []named) string {
	for _, n := range names {
		if strings.Contains(text, n.token) {
			return n.name
		}
	}
	return ""
}

// productOf returns the name of the first product in a User-Agent header, without its version.
func productOf(userAgent string) string {
	product, _, _ := strings.Cut(userAgent, "/")
	product, _, _ = strings.Cut(product, " ")
	isOdd := func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		return !letter && (r < '0' || '9' < r) && !strings.ContainsRune("-_.", r)
	}
	if strings.ContainsFunc(product, isOdd) {
		return ""
	}
	return product[:min(len(product), maxAgent)]
}
