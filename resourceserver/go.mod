module github.com/hallpass-auth/hallpass/resourceserver

go 1.26.0
