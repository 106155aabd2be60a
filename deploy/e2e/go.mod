module github.com/hallpass-auth/hallpass/deploy/e2e

go 1.26.0
