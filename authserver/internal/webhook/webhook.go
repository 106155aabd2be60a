// Package webhook notifies other programs of records of the audit log, by signed POST requests as Standard Webhooks
// describes them (https://www.standardwebhooks.com).
//
// The server that seals a record stores a delivery for each webhook that subscribes to it, in the same transaction, so
// that none is lost when a server stops. Running servers lease the deliveries that are due, and send each until the
// program confirms it or the last attempt has failed. A delivery is made at least once. It may be made twice, with the
// same id, if a server stops before it has recorded the success.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// Errors of a Service.
var (
	// ErrBad is returned for a webhook that cannot be added. The text says why.
	ErrBad = errors.New("not usable")
	// ErrTooMany is returned if there are MaxWebhooks.
	ErrTooMany = fmt.Errorf("there are already %d webhooks, which is the maximum: delete one first", MaxWebhooks)
	// ErrNoneDead is returned by Retry if it is to retry all dead deliveries and there are none. It wraps
	// record.ErrNotFound.
	ErrNoneDead = fmt.Errorf("dead delivery %w", record.ErrNotFound)
)

// Bounds of webhooks.
const (
	// MaxWebhooks is how many there are at most: as many as the guard sends requests at once, so that slow ones do not
	// take the place of others.
	MaxWebhooks = 16
	// MaxWaiting is how many deliveries of one webhook wait at most. Further ones are dropped.
	MaxWaiting = 10_000
	// MaxDead is how many deliveries of one webhook are kept after their last attempt, for 30 days.
	MaxDead    = 1000
	deadMemory = 30 * 24 * time.Hour

	maxEvents = 50
	maxGlob   = 100
)

// Webhook is a subscription of another program to events.
type Webhook struct {
	ID string
	// URL is where requests go.
	URL string
	// Events are patterns of names of events, as Matches reads them; none means all events.
	Events []string
	// Secret is the sealed secret of the signatures.
	Secret    string
	CreatedAt time.Time
	// Waiting and Dead count its deliveries.
	Waiting, Dead int64
}

// Matches reports whether the webhook subscribes to an event. A * in a pattern stands for any text.
func (w Webhook) Matches(event string) bool {
	return len(w.Events) == 0 || slices.ContainsFunc(w.Events, func(pattern string) bool {
		ok, err := path.Match(pattern, event)
		return ok && err == nil
	})
}

// Delivery is a record to send to a webhook.
type Delivery struct {
	Webhook, RecordID string
	CreatedAt         time.Time
	// Attempts counts the attempts, also one that is in progress.
	Attempts int64
	// Reason says why the last one has failed.
	Reason string
}

// Store keeps webhooks and their deliveries. It is safe for concurrent use.
type Store interface {
	// AddWebhook adds a webhook, or returns ErrTooMany.
	AddWebhook(ctx context.Context, w Webhook) error
	// Webhooks returns all webhooks, oldest first.
	Webhooks(ctx context.Context) ([]Webhook, error)
	// DeleteWebhook deletes a webhook with its deliveries, or returns record.ErrNotFound.
	DeleteWebhook(ctx context.Context, id string, now time.Time) error
	// DeadDeliveries returns deliveries whose last attempt has failed, newest first, or record.ErrNotFound.
	DeadDeliveries(ctx context.Context, webhook string, limit int) ([]Delivery, error)
	// RetryDeliveries makes dead deliveries of a webhook due again: one, or all if the record is empty. It returns how
	// many, or record.ErrNotFound.
	RetryDeliveries(ctx context.Context, webhook, recordID string, now time.Time) (int64, error)
}

// Sealer encrypts secrets; *secondfactor.Vault does. It is safe for concurrent use.
type Sealer interface {
	// Seal encrypts a text for a purpose.
	Seal(ctx context.Context, text, purpose string) (string, error)
	// Open is the inverse of Seal.
	Open(ctx context.Context, sealed, purpose string) (string, error)
}

// Checker refuses URLs that no request may go to; *outbound.Guard does.
type Checker interface {
	// Check returns an error for such a URL.
	Check(rawURL string) error
}

// Service manages webhooks. It is safe for concurrent use.
type Service struct {
	Store Store
	Now   func() time.Time
	// Sealer and URLs are only needed by Add.
	Sealer Sealer
	URLs   Checker
}

// secretPrefix begins secrets, as Standard Webhooks says.
const secretPrefix = "whsec_"

// Add adds a webhook for events that match one of the patterns, or for all. It returns the webhook and its secret,
// which nobody can read later. It returns ErrBad, ErrTooMany, or an error of the sealer or the store.
func (s *Service) Add(ctx context.Context, url string, events []string) (w Webhook, secret string, err error) {
	if err := s.URLs.Check(url); err != nil {
		return w, "", fmt.Errorf("the URL is %w: %w", ErrBad, err)
	}
	if len(events) > maxEvents {
		return w, "", fmt.Errorf("the list of events is %w: it may have at most %d, and * stands for any text", ErrBad,
			maxEvents)
	}
	for _, pattern := range events {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" || len(pattern) > maxGlob ||
			strings.ContainsFunc(pattern, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return w, "", fmt.Errorf("the event %q is %w: it must be a name, in which * stands for any text", pattern, ErrBad)
		}
	}
	id, err := audit.NewID(s.Now())
	if err != nil {
		return w, "", err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	w = Webhook{ID: "wh_" + strings.ReplaceAll(id, "-", ""), URL: url, Events: events, CreatedAt: s.Now()}
	secret = secretPrefix + base64.StdEncoding.EncodeToString(key)
	if w.Secret, err = s.Sealer.Seal(ctx, secret, purpose(w.ID)); err != nil {
		return w, "", err
	}
	return w, secret, s.Store.AddWebhook(ctx, w)
}

// List returns all webhooks, oldest first. The error is the store's.
func (s *Service) List(ctx context.Context) ([]Webhook, error) { return s.Store.Webhooks(ctx) }

// Delete deletes a webhook with its deliveries. It returns record.ErrNotFound for an unknown one, or an error of the
// store.
func (s *Service) Delete(ctx context.Context, id string) error {
	return s.Store.DeleteWebhook(ctx, id, s.Now())
}

// Dead returns the deliveries of a webhook whose last attempt has failed, newest first: MaxDead at most. It returns
// record.ErrNotFound for an unknown webhook, or an error of the store.
func (s *Service) Dead(ctx context.Context, id string) ([]Delivery, error) {
	return s.Store.DeadDeliveries(ctx, id, MaxDead)
}

// Retry makes the dead delivery of a record due again, or all of the webhook if recordID is empty, and returns how
// many. It returns ErrNoneDead if recordID is empty and none is dead, record.ErrNotFound for an unknown webhook or a
// record without a dead delivery, or an error of the store.
func (s *Service) Retry(ctx context.Context, id, recordID string) (int64, error) {
	n, err := s.Store.RetryDeliveries(ctx, id, recordID, s.Now())
	if err != nil || n > 0 {
		return n, err
	}
	if recordID != "" {
		return 0, fmt.Errorf("dead delivery of %s %w", recordID, record.ErrNotFound)
	}
	return 0, ErrNoneDead
}

// purpose binds a sealed secret to its webhook.
func purpose(id string) string { return "webhook " + id }

// Message is the body of a request.
type Message struct {
	// Type is the event, Timestamp when it happened.
	Type      string      `json:"type"`
	Timestamp time.Time   `json:"timestamp"`
	Data      audit.Shown `json:"data"`
}

// bodyOf returns the body of the request about a record.
func bodyOf(r audit.Record) ([]byte, error) {
	return json.Marshal(Message{Type: r.Event, Timestamp: r.At, Data: audit.Show(r)})
}

// sign returns the signature of a request: the HMAC-SHA256, with the decoded secret as key, of its id, the time in Unix
// seconds and the body, separated by dots. It returns ErrBad for a malformed secret.
func sign(secret, id string, at time.Time, body []byte) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil || len(key) == 0 {
		return "", fmt.Errorf("the secret is %w", ErrBad)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}
