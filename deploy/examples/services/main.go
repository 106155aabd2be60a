// Command services is three programs of a shop that call each other with tokens of Hallpass:
//
//	services stock    a gRPC service: how many of each item there are
//	services orders   an HTTP API for users, which asks stock for the user who orders
//	services nightly  a job that sets the levels of stock, for itself
//
// A fourth command, key, makes the key by which a client authenticates. deploy/docs/services-example.md says how to
// run them.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
)

// commands are the programs by name.
var commands = map[string]func(ctx context.Context, args []string) error{
	"stock": runStock, "orders": runOrders, "nightly": runNightly, "key": runKey,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || commands[args[0]] == nil {
		return fmt.Errorf("usage: services stock|orders|nightly|key [FLAGS]")
	}
	log.SetPrefix(args[0] + ": ")
	return commands[args[0]](ctx, args[1:])
}

// server says which authorization server a program trusts.
type server struct {
	issuer  string
	address string // where the program reaches it
}

// serverFlags adds the flags of a server.
func serverFlags(flags *flag.FlagSet) *server {
	s := new(server)
	flags.StringVar(&s.issuer, "issuer", "http://127.0.0.1:9000", "identifier of the authorization server")
	flags.StringVar(&s.address, "server", "", "where this program reaches the authorization server, if not at -issuer")
	return s
}

// url returns the address of an endpoint.
func (s *server) url(path string) string {
	if s.address != "" {
		return s.address + path
	}
	return s.issuer + path
}
