package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// forgetPlacesEvery is how often the places of old logins are deleted.
const forgetPlacesEvery = time.Hour

// forgetPlaces deletes where logins came from before they are account.PlaceMemory old, until ctx ends.
func forgetPlaces(ctx context.Context, data *store.Store, now func() time.Time, log *slog.Logger) {
	every(ctx, forgetPlacesEvery, func(ctx context.Context) {
		before := now().Add(forgetPlacesEvery - account.PlaceMemory)
		if err := data.ForgetPlaces(ctx, before); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "cannot delete the addresses of old logins", "error", err)
		}
	})
}
