module github.com/hallpass-auth/hallpass/authserver

go 1.26.0
