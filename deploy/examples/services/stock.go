package main

import (
	"context"
	"flag"
	"log"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hallpass-auth/hallpass/deploy/examples/services/stockpb"
	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/grpcbearer"
	"github.com/hallpass-auth/hallpass/shared/rpcbearer"
)

// stockMethods says who may call which method.
var stockMethods = rpcbearer.Methods{
	stockpb.Stock_Get_FullMethodName:   rpcbearer.Scopes("stock:read"),
	stockpb.Stock_Set_FullMethodName:   rpcbearer.Scopes("stock:write"),
	stockpb.Stock_Watch_FullMethodName: rpcbearer.Scopes("stock:read"),
}

// runStock serves until ctx ends.
func runStock(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("stock", flag.ExitOnError)
	trusted := serverFlags(flags)
	audience := flags.String("audience", "urn:example:stock", "identifier of this API")
	keys := flags.String("keys", "", "file with the secret that 'authserver api add --secret-to' has written")
	listen := flags.String("listen", "127.0.0.1:8200", "address")
	_ = flags.Parse(args) // exits if they are wrong

	guard, err := bearer.Open(ctx, bearer.Config{
		Issuer: trusted.issuer, Audience: *audience, KeysFile: *keys, StatusListsURL: trusted.url("/status-lists"),
		BearerOnly: true, // a gRPC call has no DPoP proof
	})
	if err != nil {
		return err
	}
	protect := grpcbearer.New(guard, stockMethods)
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(protect.Unary), grpc.ChainStreamInterceptor(protect.Stream))
	stockpb.RegisterStockServer(server, &stock{levels: map[string]*stockpb.Level{}, changed: make(chan struct{})})
	if err := protect.Check(server); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, server.Stop)
	log.Printf("gRPC at %s", listener.Addr())
	return server.Serve(listener)
}

// stock keeps the levels in memory.
type stock struct {
	stockpb.UnimplementedStockServer

	mu      sync.Mutex
	levels  map[string]*stockpb.Level
	changed chan struct{} // closed when a level changes
}

// level returns the level of an item, nil if it is unknown, and what is closed at the next change.
func (s *stock) level(item string) (*stockpb.Level, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.levels[item], s.changed
}

// Get returns a level. It logs the user, and which client acts for the user.
func (s *stock) Get(ctx context.Context, request *stockpb.GetRequest) (*stockpb.Level, error) {
	claims, _ := bearer.FromContext(ctx)
	log.Printf("%s is read for %s by %s, acting: %v", request.GetItem(), claims.Subject, claims.ClientID, claims.Actors)
	level, _ := s.level(request.GetItem())
	if level == nil {
		return nil, status.Error(codes.NotFound, "there is no such item")
	}
	return level, nil
}

// Set changes a level.
func (s *stock) Set(ctx context.Context, request *stockpb.SetRequest) (*stockpb.Level, error) {
	if request.GetItem() == "" || request.GetCount() < 0 {
		return nil, status.Error(codes.InvalidArgument, "item must be set, and count must not be negative")
	}
	claims, _ := bearer.FromContext(ctx)
	level := &stockpb.Level{Item: request.GetItem(), Count: request.GetCount(), SetBy: claims.ClientID}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.levels[level.GetItem()] = level
	close(s.changed)
	s.changed = make(chan struct{})
	return level, nil
}

// Watch sends a level now and whenever one changes, until the caller leaves or its token ends.
func (s *stock) Watch(request *stockpb.GetRequest, stream grpc.ServerStreamingServer[stockpb.Level]) error {
	for {
		level, changed := s.level(request.GetItem())
		if level != nil {
			if err := stream.Send(level); err != nil {
				return err
			}
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-changed:
		}
	}
}
