package httpserver_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hallpass-auth/hallpass/shared/httpserver"
)

// A server, one request, and a stop without the drain delay. In a program the settings come
// from flags, and package program ends the context on a signal.
func Example() {
	settings := httpserver.Settings{Listen: freeAddress(), AdminListen: freeAddress(), StopTimeout: time.Minute}
	server := httpserver.Server{
		Settings: settings,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "Hello, world")
		}),
		Registry: httpserver.NewRegistry("v1.0.0"),
		Log:      httpserver.NewLogger(os.Stderr, settings),
	}
	ctx, stop := context.WithCancelCause(context.Background())
	done := make(chan error)
	go func() { done <- server.Run(ctx) }()
	for httpserver.CheckReady(ctx, settings.AdminListen) != nil {
		time.Sleep(time.Millisecond)
	}

	resp, err := http.Get("http://" + settings.Listen)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(os.Stdout, resp.Body)

	stop(httpserver.ErrStopNow)
	fmt.Println("stopped, error:", <-done)
	// Output:
	// Hello, world
	// stopped, error: <nil>
}

// freeAddress returns an address on which nothing listens.
func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}
