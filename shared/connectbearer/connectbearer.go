// Package connectbearer protects a connectrpc.com/connect server with access tokens of Hallpass, for calls with
// the Connect, gRPC and gRPC-Web protocols.
//
//	guard, err := bearer.Open(ctx, bearer.Config{BearerOnly: true, ... })
//	protect := connectbearer.New(guard, rpcbearer.Methods{
//		"/stock.v1.Stock/Get":   rpcbearer.Scopes("items:read"),
//		"/stock.v1.Stock/Watch": rpcbearer.Scopes("items:read"),
//	})
//	mux.Handle(stockconnect.NewStockHandler(... , connect.WithInterceptors(protect)))
//
// A caller sends its token in the header Authorization: Bearer TOKEN. Handlers get the caller with
// bearer.FromContext. Tokens that are bound to a key of the client (DPoP) are refused: see package rpcbearer.
//
// A call that is refused ends with Unauthenticated, PermissionDenied, InvalidArgument (more than one token) or
// Unavailable (the token cannot be checked now). The error has a google.rpc.ErrorInfo. Its reason is that of
// rpcbearer.Reason, and its metadata is that of rpcbearer.Details: the scope and the login that the method needs, and
// the challenge (RFC 6750 section 3).
// With the Connect protocol, the header WWW-Authenticate has the challenge too.
//
// The package is a separate module, so that an API without Connect does not depend on it.
package connectbearer

import (
	"context"
	"errors"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/rpcbearer"
)

// retryDelay is how long a caller should wait when its token cannot be checked.
const retryDelay = time.Second

// New returns an interceptor for handlers of these methods. In a client, it does nothing. It is safe for
// concurrent use.
func New(guard *bearer.Guard, methods rpcbearer.Methods) connect.Interceptor {
	return &interceptor{guard: guard, methods: methods}
}

type interceptor struct {
	guard   *bearer.Guard
	methods rpcbearer.Methods
}

// WrapUnary calls next if the method allows the caller.
func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		if request.Spec().IsClient {
			return next(ctx, request)
		}
		ctx, err := i.authenticate(ctx, request.Spec(), request.Peer(), request.Header())
		if err != nil {
			return nil, err
		}
		return next(ctx, request)
	}
}

// WrapStreamingClient returns next.
func (i *interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler calls next if the method allows the caller. The token is checked again for each message:
// a stream ends when its token expires or is revoked.
func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		authenticated, err := i.authenticate(ctx, conn.Spec(), conn.Peer(), conn.RequestHeader())
		if err != nil {
			return err
		}
		return next(authenticated, &stream{StreamingHandlerConn: conn, interceptor: i, ctx: ctx})
	}
}

// authenticate returns a context with the claims, or the error for a call that is refused.
func (i *interceptor) authenticate(
	ctx context.Context, spec connect.Spec, peer connect.Peer, header http.Header,
) (context.Context, error) {
	authenticated, refusal := i.methods.Authenticate(ctx, i.guard, spec.Procedure, header["Authorization"])
	if refusal == nil {
		return authenticated, nil
	}
	err := i.errorOf(refusal)
	// gRPC would send it as a trailer, which RFC 9110 section 6.5.1 forbids.
	if challenge := refusal.Challenge(); challenge != "" && peer.Protocol == connect.ProtocolConnect {
		err.Meta().Set("WWW-Authenticate", challenge)
	}
	return nil, err
}

// stream is a stream that checks the token at each message.
type stream struct {
	connect.StreamingHandlerConn
	interceptor *interceptor
	ctx         context.Context //nolint:containedctx // of the call
}

// check returns an error if the caller may no longer call the method.
func (s *stream) check() error {
	_, err := s.interceptor.authenticate(s.ctx, s.Spec(), s.Peer(), s.RequestHeader())
	return err
}

// Receive receives a message. It fails if the token is no longer valid when the message has arrived.
func (s *stream) Receive(message any) error {
	if err := s.StreamingHandlerConn.Receive(message); err != nil {
		return err
	}
	return s.check()
}

// Send sends a message. It fails if the token is no longer valid.
func (s *stream) Send(message any) error {
	if err := s.check(); err != nil {
		return err
	}
	return s.StreamingHandlerConn.Send(message)
}

// errorOf returns the error for a call that is refused.
func (i *interceptor) errorOf(refusal *bearer.Refusal) *connect.Error {
	err := connect.NewError(codeOf(refusal.Status), errors.New(refusal.Detail))
	info := &errdetails.ErrorInfo{
		Reason:   rpcbearer.Reason(refusal),
		Domain:   i.guard.Audience(),
		Metadata: rpcbearer.Details(refusal),
	}
	addDetail(err, info)
	if refusal.Status == http.StatusServiceUnavailable {
		addDetail(err, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryDelay)})
	}
	return err
}

// addDetail adds a detail to the error.
func addDetail(err *connect.Error, message proto.Message) {
	if detail, failed := connect.NewErrorDetail(message); failed == nil {
		err.AddDetail(detail)
	}
}

// codeOf returns the Connect code for the HTTP status of a refusal.
func codeOf(httpStatus int) connect.Code {
	switch httpStatus {
	case http.StatusBadRequest:
		return connect.CodeInvalidArgument
	case http.StatusForbidden:
		return connect.CodePermissionDenied
	case http.StatusServiceUnavailable:
		return connect.CodeUnavailable
	}
	return connect.CodeUnauthenticated
}
