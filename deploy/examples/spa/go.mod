module github.com/hallpass-auth/hallpass/deploy/examples/spa

go 1.26.0
