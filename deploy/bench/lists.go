package main

import (
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/hallpass-auth/hallpass/shared/statuslist"
)

// listURI is the status list that the tokens of the run point at, tokenIndex their place
// in it.
const (
	listURI    = issuer + statuslist.Path + "/0"
	tokenIndex = 1
)

// listsRevoked is how many others of the list are revoked.
const listsRevoked = 1000

// publishList serves the list at an address of our own, as an authorization server does
// and for as long as the run lasts, and returns what to give the API as the place of all
// lists. So the API looks every token up, and keeps its copy fresh beside its work.
func (h *house) publishList() (address string, err error) {
	list := statuslist.NewList(statuslist.MaxSize)
	for i := range int64(listsRevoked) {
		list.Revoke(tokenIndex + 1 + i*(statuslist.MaxSize/listsRevoked))
	}
	now := time.Now()
	key, err := h.keys.Current().Signer(now)
	if err != nil {
		return "", err
	}
	text, err := statuslist.Sign(statuslist.Token{URI: listURI, IssuedAt: now, ExpiresAt: now.Add(24 * time.Hour), TTL: time.Second, List: list}, key)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	h.lists = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const tag = `"the only one"`
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write([]byte(text)) // the API asks again if this fails
	})}
	go func() {
		if err := h.lists.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // a listener on loopback does not fail
		}
	}()
	return "http://" + listener.Addr().String() + statuslist.Path, nil
}
