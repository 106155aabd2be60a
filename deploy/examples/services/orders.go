package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/hallpass-auth/hallpass/deploy/examples/services/stockpb"
	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/problem"
)

// runOrders serves until ctx ends.
func runOrders(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("orders", flag.ExitOnError)
	open := clientFlags(flags, "orders")
	audience := flags.String("audience", "http://127.0.0.1:8100", "identifier of this API: its URL")
	keys := flags.String("keys", "", "file with the secret that 'authserver api add --secret-to' has written")
	listen := flags.String("listen", "127.0.0.1:8100", "address")
	address := flags.String("stock", "127.0.0.1:8200", "address of stock")
	api := flags.String("stock-api", "urn:example:stock", "identifier of stock")
	_ = flags.Parse(args) // exits if they are wrong

	client, err := open()
	if err != nil {
		return err
	}
	guard, err := bearer.Open(ctx, bearer.Config{
		Issuer: client.issuer, Audience: *audience, KeysFile: *keys, StatusListsURL: client.url("/status-lists"),
	})
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(*address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	o := &orders{guard: guard, stock: stockpb.NewStockClient(conn), tokens: newExchanger(client, *api, "stock:read")}
	server := &http.Server{Addr: *listen, Handler: o.routes(), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Printf("HTTP at %s", *listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// orders is the API.
type orders struct {
	guard  *bearer.Guard
	stock  stockpb.StockClient
	tokens *exchanger
}

// routes returns the handler of the API.
func (o *orders) routes() http.Handler {
	mux := http.NewServeMux()
	o.guard.ServeMetadata(mux.Handle, "orders:write", "stock:read")
	// stock:read is for the exchange, which adds no scope.
	mux.Handle("POST /orders", o.guard.RequireUser("orders:write", "stock:read")(http.HandlerFunc(o.order)))
	return mux
}

// order is what a user wants.
type order struct {
	Item  string `json:"item"`
	Count int32  `json:"count"`
	// By is the id of the user.
	By string `json:"by"`
}

// order asks stock, for the user, whether there is enough.
func (o *orders) order(w http.ResponseWriter, r *http.Request) {
	var wanted order
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&wanted)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		problem.Write(w, http.StatusRequestEntityTooLarge, "The body of the request is too large")
		return
	}
	if err != nil || wanted.Item == "" || wanted.Count < 1 {
		problem.Write(w, http.StatusBadRequest, `The body must be JSON like {"item": "apples", "count": 2}`)
		return
	}
	level, err := o.level(r, wanted.Item)
	switch {
	case isRefused(err): // the login has ended, and this API does not know it yet
		o.guard.InvalidToken().Write(w)
	case status.Code(err) == codes.NotFound:
		problem.Write(w, http.StatusNotFound, "There is no such item")
	case err != nil:
		log.Printf("stock: %v", err)
		w.Header().Set("Retry-After", "1")
		problem.Write(w, http.StatusServiceUnavailable, "It is not known what is in stock")
	case level.GetCount() < wanted.Count:
		problem.Write(w, http.StatusConflict, "There are not enough in stock")
	default:
		claims, _ := bearer.FromContext(r.Context())
		wanted.By = claims.Subject
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(wanted) // an error means that the client has disconnected
	}
}

// level returns what stock says about an item to the user of the request. The user's own token is for this API
// alone, so it is exchanged.
func (o *orders) level(r *http.Request, item string) (*stockpb.Level, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	_, userToken, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token, err := o.tokens.exchange(ctx, strings.TrimLeft(userToken, " "))
	if err != nil {
		return nil, err
	}
	return o.stock.Get(ctx, &stockpb.GetRequest{Item: item}, grpc.PerRPCCredentials(token))
}

// isRefused reports whether the authorization server or stock did not accept the user's token. The exchange of a
// token that has ended is an invalid_request.
func isRefused(err error) bool {
	var refused *oauthError
	return errors.As(err, &refused) && refused.Code == "invalid_request" || status.Code(err) == codes.Unauthenticated
}
