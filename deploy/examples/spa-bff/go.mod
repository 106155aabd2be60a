module github.com/hallpass-auth/hallpass/deploy/examples/spa-bff

go 1.26.0

require (
	github.com/hallpass-auth/hallpass/shared v0.0.0
	github.com/hallpass-auth/hallpass/shared/bff v0.0.0
)

require (
	github.com/coreos/go-oidc/v3 v3.21.0 // indirect
	github.com/go-jose/go-jose/v4 v4.1.9 // indirect
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/rs/cors v1.11.1 // indirect
	golang.org/x/oauth2 v0.38.0 // indirect
)

replace (
	github.com/hallpass-auth/hallpass/shared => ../../../shared
	github.com/hallpass-auth/hallpass/shared/bff => ../../../shared/bff
)
