module github.com/hallpass-auth/hallpass/deploy/bench

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/hallpass-auth/hallpass/shared v0.0.0
	golang.org/x/crypto v0.58.0
)

require (
	github.com/go-jose/go-jose/v4 v4.1.8 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
)

replace github.com/hallpass-auth/hallpass/shared => ../../shared
