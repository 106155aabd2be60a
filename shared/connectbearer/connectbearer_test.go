package connectbearer_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/bearertest"
	"github.com/hallpass-auth/hallpass/shared/connectbearer"
	"github.com/hallpass-auth/hallpass/shared/rpcbearer"
)

const (
	unary    = "/test.v1.Echo/Unary"
	stream   = "/test.v1.Echo/Stream"
	stepUp   = "/test.v1.Echo/StepUp"
	unlisted = "/test.v1.Echo/Unlisted"
)

// text is the message of all methods.
type text = wrapperspb.StringValue

// api is a Connect server whose clock a test can move.
type api struct {
	issuer *bearertest.Issuer
	server *httptest.Server
	ahead  atomic.Int64 // nanoseconds
}

// newAPI starts the server. Its methods respond with the name of the caller.
func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{issuer: bearertest.New(t)}
	guard, err := bearer.Open(t.Context(), bearer.Config{
		Issuer: bearertest.IssuerURL, Audience: bearertest.Audience, Keys: a.issuer.Ring(), AllowMissingStatus: true,
		Now: func() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	protect := connect.WithInterceptors(connectbearer.New(guard, rpcbearer.Methods{
		unary:  rpcbearer.Scopes("items:read"),
		stream: rpcbearer.UserScopes("items:read"),
		stepUp: rpcbearer.LoginScopes(bearer.UserLogin{ACRValues: []string{"2"}, MaxAge: 5 * time.Minute}, "items:read"),
	}))
	mux := http.NewServeMux()
	for _, method := range []string{unary, stepUp, unlisted} {
		mux.Handle(method, connect.NewUnaryHandler(method, whoAmI, protect))
	}
	mux.Handle(stream, connect.NewBidiStreamHandler(stream, whoAmIStream, protect))
	a.server = httptest.NewUnstartedServer(mux)
	a.server.EnableHTTP2 = true
	a.server.StartTLS()
	t.Cleanup(a.server.Close)
	return a
}

// twoFactors returns a token of a login with two factors.
func (a *api) twoFactors() string {
	claims := a.issuer.Claims("items:read")
	claims.ACR, claims.AuthTime = "2", time.Now()
	return a.issuer.Sign(claims)
}

func whoAmI(ctx context.Context, _ *connect.Request[text]) (*connect.Response[text], error) {
	claims, _ := bearer.FromContext(ctx)
	return connect.NewResponse(wrapperspb.String(claims.Username)), nil
}

func whoAmIStream(ctx context.Context, stream *connect.BidiStream[text, text]) error {
	claims, _ := bearer.FromContext(ctx)
	for {
		if _, err := stream.Receive(); err != nil {
			return err
		}
		if err := stream.Send(wrapperspb.String(claims.Username)); err != nil {
			return err
		}
	}
}

// client returns a client of a method.
func (a *api) client(method string, options ...connect.ClientOption) *connect.Client[text, text] {
	return connect.NewClient[text, text](a.server.Client(), a.server.URL+method, options...)
}

// checkRefused checks the code of an error, its details and its challenge, which is in a header by Connect only.
func checkRefused(t *testing.T, byConnect bool, err error, code connect.Code, reason, inChallenge string) {
	t.Helper()
	var got *connect.Error
	if !errors.As(err, &got) || got.Code() != code || len(got.Details()) == 0 {
		t.Fatalf("%v, want %v with details", err, code)
	}
	detail, err := got.Details()[0].Value()
	info, ok := detail.(*errdetails.ErrorInfo)
	if err != nil || !ok || info.Reason != reason || info.Domain != bearertest.Audience {
		t.Errorf("%v has the detail %v, want %s", got, detail, reason)
	}
	if challenge := info.GetMetadata()["www_authenticate"]; !strings.Contains(challenge, inChallenge) {
		t.Errorf("%s: challenge %q", reason, challenge)
	}
	if header := got.Meta().Get("WWW-Authenticate"); byConnect && !strings.Contains(header, inChallenge) {
		t.Errorf("%s: header %q", reason, header)
	}
}

// Calls are allowed and refused by the table, by each protocol.
func TestUnary(t *testing.T) {
	a := newAPI(t)
	token := a.issuer.Token("items:read")
	for protocol, options := range map[string][]connect.ClientOption{
		"Connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()},
	} {
		call := func(method string, authorization ...string) (string, error) {
			request := connect.NewRequest(wrapperspb.String(""))
			for _, value := range authorization {
				request.Header().Add("Authorization", value)
			}
			response, err := a.client(method, options...).CallUnary(t.Context(), request)
			if err != nil {
				return "", err
			}
			return response.Msg.GetValue(), nil
		}
		t.Run(protocol, func(t *testing.T) {
			if name, err := call(unary, "Bearer "+token); err != nil || name != bearertest.Username {
				t.Errorf("%s, %v", name, err)
			}
			_, err := call(unary)
			checkRefused(t, options == nil, err, connect.CodeUnauthenticated, "NOT_AUTHENTICATED", `scope="items:read"`)
			_, err = call(unary, "Bearer x")
			checkRefused(t, options == nil, err, connect.CodeUnauthenticated, "INVALID_TOKEN", `error="invalid_token"`)
			_, err = call(unary, "Bearer "+a.issuer.Token("other"))
			checkRefused(t, options == nil, err, connect.CodePermissionDenied, "INSUFFICIENT_SCOPE",
				`error="insufficient_scope"`)
			_, err = call(unary, "Bearer "+token, "Bearer "+token)
			checkRefused(t, options == nil, err, connect.CodeInvalidArgument, "INVALID_REQUEST", `error="invalid_request"`)
			_, err = call(stepUp, "Bearer "+token)
			checkRefused(t, options == nil, err, connect.CodeUnauthenticated, "INSUFFICIENT_USER_AUTHENTICATION",
				`acr_values="2", max_age="300"`)
			if name, err := call(stepUp, "Bearer "+a.twoFactors()); err != nil || name != bearertest.Username {
				t.Errorf("after a login with two factors: %s, %v", name, err)
			}
			_, err = call(unlisted, "Bearer "+token)
			checkRefused(t, options == nil, err, connect.CodePermissionDenied, "METHOD_NOT_LISTED", "Bearer")
		})
	}
}

// A stream ends when its token has expired.
func TestStream(t *testing.T) {
	a := newAPI(t)
	open := func(token string) func() (string, error) {
		conn := a.client(stream).CallBidiStream(t.Context())
		conn.RequestHeader().Set("Authorization", "Bearer "+token)
		t.Cleanup(func() { _ = conn.CloseRequest() })
		return func() (string, error) {
			if err := conn.Send(wrapperspb.String("")); err != nil && !errors.Is(err, io.EOF) {
				return "", err
			}
			message, err := conn.Receive()
			return message.GetValue(), err
		}
	}
	_, err := open("x")()
	checkRefused(t, true, err, connect.CodeUnauthenticated, "INVALID_TOKEN", "")
	say := open(a.issuer.Token("items:read"))
	for range 2 {
		if name, err := say(); err != nil || name != bearertest.Username {
			t.Fatalf("%s, %v", name, err)
		}
	}
	a.ahead.Store(int64(time.Hour))
	_, err = say()
	checkRefused(t, true, err, connect.CodeUnauthenticated, "INVALID_TOKEN", "")
}

// An interceptor that a client uses too changes nothing.
func TestClientSide(t *testing.T) {
	a := newAPI(t)
	client := a.client(unary, connect.WithInterceptors(connectbearer.New(a.issuer.Guard(), nil)))
	request := connect.NewRequest(wrapperspb.String(""))
	request.Header().Set("Authorization", "Bearer "+a.issuer.Token("items:read"))
	response, err := client.CallUnary(t.Context(), request)
	if err != nil || response.Msg.GetValue() != bearertest.Username {
		t.Errorf("%v, %v", response, err)
	}
}
