// Package grpcbearer protects a gRPC server with access tokens of Hallpass.
//
//	guard, err := bearer.Open(ctx, bearer.Config{BearerOnly: true, ... })
//	protect := grpcbearer.New(guard, rpcbearer.Methods{
//		"/stock.v1.Stock/Get":   rpcbearer.Scopes("items:read"),
//		"/stock.v1.Stock/Watch": rpcbearer.Scopes("items:read"),
//	})
//	server := grpc.NewServer(
//		grpc.ChainUnaryInterceptor(protect.Unary), grpc.ChainStreamInterceptor(protect.Stream))
//	stock.RegisterStockServer(server, ... )
//	err = protect.Check(server)
//
// A caller sends its token as the metadata authorization: Bearer TOKEN. Handlers get the caller with
// bearer.FromContext. Tokens that are bound to a key of the client (DPoP) are refused: see package rpcbearer.
//
// A call that is refused ends with Unauthenticated, PermissionDenied, InvalidArgument (more than one token) or
// Unavailable (the token cannot be checked now). The status has a google.rpc.ErrorInfo. Its reason is that of
// rpcbearer.Reason, and its metadata is that of rpcbearer.Details: the scope and the login that the method needs, and
// the challenge (RFC 6750 section 3).
// The header www-authenticate has the challenge too. (RFC 9110 section 6.5.1 forbids it in a trailer.)
//
// The package is a separate module, so that an API without gRPC does not depend on grpc-go.
package grpcbearer

import (
	"context"
	"net/http"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hallpass-auth/hallpass/shared/bearer"
	"github.com/hallpass-auth/hallpass/shared/rpcbearer"
)

// retryDelay is how long a caller should wait when its token cannot be checked.
const retryDelay = time.Second

// Protector has the interceptors of a server. It is safe for concurrent use.
type Protector struct {
	guard   *bearer.Guard
	methods rpcbearer.Methods
}

// New returns the interceptors for a server with these methods.
func New(guard *bearer.Guard, methods rpcbearer.Methods) *Protector {
	return &Protector{guard: guard, methods: methods}
}

// Check returns an error if the server's registered methods differ from those in the table.
func (p *Protector) Check(server *grpc.Server) error {
	var served []string
	for service, info := range server.GetServiceInfo() {
		for _, method := range info.Methods {
			served = append(served, "/"+service+"/"+method.Name)
		}
	}
	return p.methods.Check(served)
}

// Unary is a grpc.UnaryServerInterceptor. It calls the handler if the method allows the caller.
func (p *Protector) Unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	authenticated, refusal := p.authenticate(ctx, info.FullMethod)
	if refusal != nil {
		_ = grpc.SetHeader(ctx, challengeOf(refusal)) // an error means that the call has ended
		return nil, p.errorOf(refusal)
	}
	return handler(authenticated, request)
}

// Stream is a grpc.StreamServerInterceptor. It calls the handler if the method allows the caller. The token is
// checked again for each message: a stream ends when its token expires or is revoked.
func (p *Protector) Stream(
	server any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	protected := &stream{ServerStream: ss, protector: p, method: info.FullMethod}
	if err := protected.check(); err != nil {
		return err
	}
	return handler(server, protected)
}

// authenticate checks the caller of a method by the metadata of the call.
func (p *Protector) authenticate(ctx context.Context, method string) (context.Context, *bearer.Refusal) {
	return p.methods.Authenticate(ctx, p.guard, method, metadata.ValueFromIncomingContext(ctx, "authorization"))
}

// stream is a stream that checks the token at each message.
type stream struct {
	grpc.ServerStream
	protector *Protector
	method    string
	ctx       context.Context //nolint:containedctx // a ServerStream has a context
}

// check returns an error if the caller may not, or may no longer, call the method.
func (s *stream) check() error {
	ctx, refusal := s.protector.authenticate(s.ServerStream.Context(), s.method)
	if refusal != nil {
		_ = s.SetHeader(challengeOf(refusal)) // an error means that the header was sent with an earlier message
		return s.protector.errorOf(refusal)
	}
	if s.ctx == nil {
		s.ctx = ctx
	}
	return nil
}

// Context returns the context of the call, with the claims.
func (s *stream) Context() context.Context { return s.ctx }

// RecvMsg receives a message. It fails if the token is no longer valid when the message has arrived.
func (s *stream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	return s.check()
}

// SendMsg sends a message. It fails if the token is no longer valid.
func (s *stream) SendMsg(message any) error {
	if err := s.check(); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(message)
}

// challengeOf returns the response header for a call that is refused.
func challengeOf(refusal *bearer.Refusal) metadata.MD {
	if challenge := refusal.Challenge(); challenge != "" {
		return metadata.Pairs("www-authenticate", challenge)
	}
	return nil
}

// errorOf returns the error for a call that is refused.
func (p *Protector) errorOf(refusal *bearer.Refusal) error {
	info := &errdetails.ErrorInfo{
		Reason:   rpcbearer.Reason(refusal),
		Domain:   p.guard.Audience(),
		Metadata: rpcbearer.Details(refusal),
	}
	details := []protoadapt.MessageV1{info}
	if refusal.Status == http.StatusServiceUnavailable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryDelay)})
	}
	plain := status.New(codeOf(refusal.Status), refusal.Detail)
	detailed, err := plain.WithDetails(details...)
	if err != nil {
		return plain.Err()
	}
	return detailed.Err()
}

// codeOf returns the gRPC code for the HTTP status of a refusal.
func codeOf(httpStatus int) codes.Code {
	switch httpStatus {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	}
	return codes.Unauthenticated
}
