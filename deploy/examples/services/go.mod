module github.com/hallpass-auth/hallpass/deploy/examples/services

go 1.26.0

require (
	github.com/go-jose/go-jose/v4 v4.1.9
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/hallpass-auth/hallpass/shared v0.0.0
	github.com/hallpass-auth/hallpass/shared/grpcbearer v0.0.0
	google.golang.org/grpc v1.85.0
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/rs/cors v1.11.1 // indirect
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
)

replace (
	github.com/hallpass-auth/hallpass/shared => ../../../shared
	github.com/hallpass-auth/hallpass/shared/grpcbearer => ../../../shared/grpcbearer
)
