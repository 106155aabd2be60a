package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// forgetEvery is how often forget deletes.
const forgetEvery = time.Hour

// forget deletes what has ended, such as links and invitations with their email addresses, and where logins came from
// before they are account.PlaceMemory old, until ctx ends.
func forget(ctx context.Context, data *store.Store, now func() time.Time, log *slog.Logger) {
	every(ctx, forgetEvery, func(ctx context.Context) {
		if err := data.Sweep(ctx, now()); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "cannot delete what has ended", "error", err)
		}
		before := now().Add(forgetEvery - account.PlaceMemory)
		if err := data.ForgetPlaces(ctx, before); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "cannot delete the addresses of old logins", "error", err)
		}
	})
}
