module github.com/hallpass-auth/hallpass/deploy/bench

go 1.26.0
