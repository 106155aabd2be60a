package grpcbearer_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/grpcbearer"
	"github.com/hallpass-auth/hallpass/shared/rpcbearer"
)

// api is a gRPC server whose clock a test can move.
type api struct {
	testpb.TestServiceClient
	issuer  *bearertest.Issuer
	server  *grpc.Server
	protect *grpcbearer.Protector
	ahead   atomic.Int64 // nanoseconds

	received chan struct{} // gets a value for each message of StreamingInputCall
}

// methods are those of the service that the tests use. The others are missing.
var methods = rpcbearer.Methods{
	"/grpc.testing.TestService/EmptyCall":      rpcbearer.Public(),
	"/grpc.testing.TestService/UnaryCall":      rpcbearer.Scopes("items:read"),
	"/grpc.testing.TestService/FullDuplexCall": rpcbearer.UserScopes("items:read"),
	"/grpc.testing.TestService/StreamingInputCall": rpcbearer.LoginScopes(
		bearer.UserLogin{ACRValues: []string{"2"}, MaxAge: 5 * time.Minute}, "items:read"),
}

// service responds with the name of the caller.
type service struct {
	testpb.UnimplementedTestServiceServer
	received chan<- struct{}
}

func (service) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

func (service) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	claims, _ := bearer.FromContext(ctx)
	return &testpb.SimpleResponse{Username: claims.Username}, nil
}

func (service) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	claims, _ := bearer.FromContext(stream.Context())
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
		payload := &testpb.Payload{Body: []byte(claims.Username)}
		if err := stream.Send(&testpb.StreamingOutputCallResponse{Payload: payload}); err != nil {
			return err
		}
	}
}

// StreamingInputCall receives messages, and says so.
func (s service) StreamingInputCall(stream testpb.TestService_StreamingInputCallServer) error {
	for {
		switch _, err := stream.Recv(); {
		case errors.Is(err, io.EOF):
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{})
		case err != nil:
			return err
		}
		s.received <- struct{}{}
	}
}

// newAPI starts the server and connects to it. The test ends both.
func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{issuer: bearertest.New(t), received: make(chan struct{}, 1)}
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: a.issuer.Ring(), AllowMissingStatus: true,
		Now: func() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	a.protect = grpcbearer.New(guard, methods)
	a.server = grpc.NewServer(
		grpc.ChainUnaryInterceptor(a.protect.Unary), grpc.ChainStreamInterceptor(a.protect.Stream))
	testpb.RegisterTestServiceServer(a.server, service{received: a.received})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = a.server.Serve(listener) }()
	t.Cleanup(a.server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	a.TestServiceClient = testpb.NewTestServiceClient(conn)
	return a
}

// with returns a context that sends the values of the metadata authorization.
func with(t *testing.T, authorization ...string) context.Context {
	t.Helper()
	md := metadata.MD{}
	if len(authorization) > 0 {
		md.Set("authorization", authorization...)
	}
	return metadata.NewOutgoingContext(t.Context(), md)
}

// checkRefused checks the code of an error and the reason and the scope in its details.
func checkRefused(t *testing.T, err error, code codes.Code, reason, scope string) {
	t.Helper()
	got := status.Convert(err)
	if got.Code() != code || len(got.Details()) == 0 {
		t.Fatalf("%v with details %v, want %v", err, got.Details(), code)
	}
	info, ok := got.Details()[0].(*errdetails.ErrorInfo)
	challenged := strings.HasPrefix(info.GetMetadata()["www_authenticate"], "Bearer ")
	if !ok || info.Reason != reason || info.Domain != bearertest.Audience || info.Metadata["scope"] != scope ||
		challenged == (code == codes.Unavailable) {
		t.Errorf("%v has the detail %v, want %s with scope %q", err, info, reason, scope)
	}
}

// Unary calls are allowed and refused by the table, and a refusal says why in its details and its header.
func TestUnary(t *testing.T) {
	a := newAPI(t)
	if _, err := a.EmptyCall(t.Context(), &testpb.Empty{}); err != nil {
		t.Error(err)
	}
	token := a.issuer.Token("items:read")
	got, err := a.UnaryCall(with(t, "Bearer "+token), &testpb.SimpleRequest{})
	if err != nil || got.GetUsername() != bearertest.Username {
		t.Errorf("%v, %v", got, err)
	}
	for _, tt := range []struct {
		authorization []string
		code          codes.Code
		reason, scope string
		inHeader      string
	}{
		{nil, codes.Unauthenticated, "NOT_AUTHENTICATED", "items:read", `scope="items:read"`},
		{[]string{"Bearer x"}, codes.Unauthenticated, "INVALID_TOKEN", "items:read", `error="invalid_token"`},
		{[]string{"Bearer " + a.issuer.Token("other")}, codes.PermissionDenied, "INSUFFICIENT_SCOPE", "items:read",
			`error="insufficient_scope"`},
		{[]string{"Bearer " + token, "Bearer " + token}, codes.InvalidArgument, "INVALID_REQUEST", "",
			`error="invalid_request"`},
	} {
		var header metadata.MD
		_, err := a.UnaryCall(with(t, tt.authorization...), &testpb.SimpleRequest{}, grpc.Header(&header))
		checkRefused(t, err, tt.code, tt.reason, tt.scope)
		if challenge := strings.Join(header.Get("www-authenticate"), ""); !strings.Contains(challenge, tt.inHeader) {
			t.Errorf("%s: header %v", tt.reason, header)
		}
	}
	_, err = a.CacheableUnaryCall(with(t, "Bearer "+token), &testpb.SimpleRequest{})
	checkRefused(t, err, codes.PermissionDenied, "METHOD_NOT_LISTED", "")
}

// While the token cannot be checked, the caller should try again and keep its token.
func TestUnavailable(t *testing.T) {
	a := newAPI(t)
	claims := a.issuer.Claims("items:read")
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, KeysURL: "http://127.0.0.1:1/jwks.json",
	})
	if err != nil {
		t.Fatal(err)
	}
	protect := grpcbearer.New(guard, methods)
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer "+a.issuer.Sign(claims)))
	info := &grpc.UnaryServerInfo{FullMethod: "/grpc.testing.TestService/UnaryCall"}
	_, err = protect.Unary(ctx, nil, info, nil)
	checkRefused(t, err, codes.Unavailable, "UNAVAILABLE", "")
	retry, ok := status.Convert(err).Details()[1].(*errdetails.RetryInfo)
	if !ok || retry.RetryDelay.AsDuration() != time.Second {
		t.Errorf("details %v", status.Convert(err).Details())
	}
}

// A stream ends when its token has expired.
func TestStream(t *testing.T) {
	a := newAPI(t)
	refused, err := a.FullDuplexCall(with(t))
	if err == nil {
		_, err = refused.Recv()
	}
	checkRefused(t, err, codes.Unauthenticated, "NOT_AUTHENTICATED", "items:read")

	stream, err := a.FullDuplexCall(with(t, "Bearer "+a.issuer.Token("items:read")))
	if err != nil {
		t.Fatal(err)
	}
	say := func() (*testpb.StreamingOutputCallResponse, error) {
		if err := stream.Send(&testpb.StreamingOutputCallRequest{}); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return stream.Recv()
	}
	for range 2 {
		if got, err := say(); err != nil || string(got.GetPayload().GetBody()) != bearertest.Username {
			t.Fatalf("%v, %v", got, err)
		}
	}
	a.ahead.Store(int64(time.Hour))
	_, err = say()
	checkRefused(t, err, codes.Unauthenticated, "INVALID_TOKEN", "items:read")
}

// RFC 9470: the error says which login a method needs, and a stream ends when the login has become too old.
func TestStepUp(t *testing.T) {
	a := newAPI(t)
	claims := a.issuer.Claims("items:read")
	claims.ACR, claims.AuthTime, claims.ExpiresAt = "1", time.Now(), time.Now().Add(2*time.Hour)
	call := func() testpb.TestService_StreamingInputCallClient {
		stream, err := a.StreamingInputCall(with(t, "Bearer "+a.issuer.Sign(claims)))
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	checkStepUp := func(stream testpb.TestService_StreamingInputCallClient) {
		t.Helper()
		_, err := stream.CloseAndRecv()
		checkRefused(t, err, codes.Unauthenticated, "INSUFFICIENT_USER_AUTHENTICATION", "items:read")
		info := status.Convert(err).Details()[0].(*errdetails.ErrorInfo).GetMetadata()
		if info["acr_values"] != "2" || info["max_age"] != "300" ||
			!strings.Contains(info["www_authenticate"], `acr_values="2", max_age="300"`) {
			t.Errorf("metadata %v", info)
		}
	}
	refused := call()
	checkStepUp(refused)
	if header, _ := refused.Header(); !strings.Contains(strings.Join(header["www-authenticate"], ""), `acr_values="2"`) {
		t.Errorf("header %v", header)
	}

	claims.ACR = "2"
	if _, err := call().CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
	stream := call()
	if err := stream.Send(&testpb.StreamingInputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	<-a.received
	a.ahead.Store(int64(time.Hour))
	checkStepUp(stream)
}

// Check names the methods of the server that the table lacks.
func TestCheck(t *testing.T) {
	a := newAPI(t)
	err := a.protect.Check(a.server)
	if err == nil || !strings.Contains(err.Error(), "/grpc.testing.TestService/CacheableUnaryCall is served") ||
		strings.Contains(err.Error(), "UnaryCall is in the table") {
		t.Error(err)
	}
}
