package main

import (
	"context"
	"flag"
	"log"
	"maps"
	"net/url"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hallpass-auth/hallpass/deploy/examples/services/stockpb"
)

// delivered is what the suppliers bring each night.
var delivered = map[string]int32{"apples": 100, "pears": 40}

// runNightly sets the levels of stock once. It acts for itself: its token comes from the client credentials grant
// and has no user.
func runNightly(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("nightly", flag.ExitOnError)
	open := clientFlags(flags, "nightly")
	address := flags.String("stock", "127.0.0.1:8200", "address of stock")
	api := flags.String("stock-api", "urn:example:stock", "identifier of stock")
	_ = flags.Parse(args) // exits if they are wrong

	client, err := open()
	if err != nil {
		return err
	}
	token, err := client.token(ctx, url.Values{
		"grant_type": {"client_credentials"}, "scope": {"stock:write"}, "resource": {*api},
	})
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(*address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(bearerToken(token.text)))
	if err != nil {
		return err
	}
	defer conn.Close()
	stock := stockpb.NewStockClient(conn)
	for _, item := range slices.Sorted(maps.Keys(delivered)) {
		request := &stockpb.SetRequest{Item: item, Count: delivered[item]}
		if _, err := stock.Set(ctx, request, grpc.WaitForReady(true)); err != nil {
			return err
		}
		log.Printf("%s: %d", item, delivered[item])
	}
	return nil
}
