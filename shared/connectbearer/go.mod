module github.com/hallpass-auth/hallpass/shared/connectbearer

go 1.26.0

require (
	connectrpc.com/connect v1.21.1
	github.com/hallpass-auth/hallpass/shared v0.0.0
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261110000943-09e21b237f2c
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/rs/cors v1.11.1 // indirect
)

replace github.com/hallpass-auth/hallpass/shared => ..
