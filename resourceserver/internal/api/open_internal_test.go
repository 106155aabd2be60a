package api

import (
	"context"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// openServer is the environment variable that makes the test binary the server of BenchmarkOpenServer. Its
// value is the address, the admin address and the log level, separated by spaces.
const openServer = "HALLPASS_BENCH_OPEN"

// openRoutes are the routes without the token check. Their handlers respond as those of the API do to the
// demo's user.
var openRoutes = []route{
	{http.MethodGet, "/users/me", byAnyone, "Show a user", handle(
		func(context.Context, *struct{}) (*userOutput, error) {
			return &userOutput{Body: User{Username: "john.doe", FullName: "John Doe"}}, nil
		})},
	{http.MethodGet, "/items/{item_id}", byAnyone, "Show an item", handle(
		func(_ context.Context, in *ItemPath) (*itemOutput, error) {
			return &itemOutput{Body: Item{ItemID: in.ItemID, Owner: "john.doe"}}, nil
		})},
}

// BenchmarkOpenServer serves the API without its token check until SIGINT or SIGTERM. `make bench` compares
// the API with it.
func BenchmarkOpenServer(b *testing.B) {
	words := strings.Fields(os.Getenv(openServer))
	if len(words) != 3 {
		b.Skip(openServer + " is not set: deploy/bench sets it")
	}
	ctx, stop := signal.NotifyContext(b.Context(), os.Interrupt)
	defer stop()
	debug.SetGCPercent(400) // as package program does
	handler, err := newHandler(Config{Guard: bearertest.New(b).Guard(), Docs: true}, openRoutes)
	if err != nil {
		b.Fatal(err)
	}
	settings := httpserver.Settings{
		Listen: words[0], AdminListen: words[1], LogLevel: words[2], StopTimeout: time.Second,
	}
	s := httpserver.Server{
		Settings: settings,
		Handler:  handler,
		Registry: httpserver.NewRegistry("resourceserver"),
		Log:      httpserver.NewLogger(os.Stderr, settings),
	}
	if err := s.Run(ctx); err != nil {
		b.Fatal(err)
	}
}
