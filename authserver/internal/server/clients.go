package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// prepareClients sets up the demo if it is on, makes its client the default if no other is set, and checks the default
// client.
func (s *Settings) prepareClients(
	ctx context.Context,
	data *store.Store,
	hasher *account.Hasher,
	log *slog.Logger,
) error {
	if err := prepareDemo(ctx, s.demoOn(), data, hasher, s.Now(), log); err != nil {
		return fmt.Errorf("--demo (HALLPASS_DEMO): %w", err)
	}
	if s.demoOn() && s.DefaultClient == "" {
		// The client demo may be deleted or changed: then there is no default client.
		err := checkDefaultClient(ctx, data, demoClient)
		switch {
		case err == nil:
			s.DefaultClient = demoClient
		case errors.Is(err, store.ErrUnavailable):
			return err
		default:
			log.InfoContext(ctx, "demo: requests without client_id are refused, because the client demo was changed or deleted",
				"reason", err)
		}
	}
	if err := checkDefaultClient(ctx, data, s.DefaultClient); err != nil {
		return program.WithCode(program.ExitUsage, fmt.Errorf("--default-client (HALLPASS_DEFAULT_CLIENT): %w", err))
	}
	return warnOfWeakClients(ctx, data, log)
}

// warnOfWeakClients logs the clients that see their users' passwords, and those that may leave
// out PKCE.
func warnOfWeakClients(ctx context.Context, data *store.Store, log *slog.Logger) error {
	clients, err := data.Clients(ctx, record.Page{})
	if err != nil {
		return err
	}
	for _, c := range clients {
		if c.Allows(oauth.GrantPassword) {
			log.WarnContext(ctx, "a client may use the password grant, and sees its users' passwords (RFC 9700 section 2.4)",
				"client", c.ID)
		}
		if c.WithoutPKCE {
			log.WarnContext(ctx, "a client may leave out PKCE, which protects its codes (RFC 9700 section 2.1.1)",
				"client", c.ID)
		}
	}
	return nil
}

// checkDefaultClient returns an error unless the client can log users in without a secret.
func checkDefaultClient(ctx context.Context, data *store.Store, id string) error {
	if id == "" {
		return nil
	}
	c, err := data.ClientByID(ctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w; 'authserver client add %s --public --grant password --scope ...' makes it", id, err, id)
	case !c.Public():
		return fmt.Errorf("%s has a secret, and a request without client_id has none: name a client that was added with "+
			"--public", id)
	case !c.Allows(oauth.GrantPassword):
		return fmt.Errorf("%s may not use the password grant", id)
	}
	return nil
}
