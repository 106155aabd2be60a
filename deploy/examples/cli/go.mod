module github.com/hallpass-auth/hallpass/deploy/examples/cli

go 1.26.0

require golang.org/x/oauth2 v0.38.0
