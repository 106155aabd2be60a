package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"reflect"
	"time"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/process"
)

// floorMode is the argument that makes this program the bare server.
const floorMode = "floor"

// floor is what the bare server is told: where to listen, and what to say to every
// request.
type floor struct {
	Address string
	Answer  answer
}

// answer is a response without what net/http adds to each by itself.
type answer struct {
	Header http.Header
	Body   []byte
}

// serveFloor reads a floor from in and answers every request with its answer until
// ctx ends: what net/http costs to read a request, with its form if it has one, and to
// send an answer, and nothing else.
func serveFloor(ctx context.Context, in io.Reader) error {
	var f floor
	if err := json.NewDecoder(in).Decode(&f); err != nil {
		return fmt.Errorf("reading what to answer: %w", err)
	}
	s := &http.Server{Addr: f.Address, Handler: f.Answer.handler()}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handler answers every request, with as little work as that takes.
func (a answer) handler() http.Handler {
	type field struct {
		name   string
		values []string
	}
	var fields []field
	for name, values := range a.Header {
		fields = append(fields, field{name, values})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if err := r.ParseForm(); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		h := w.Header()
		for _, f := range fields {
			h[f.name] = f.values
		}
		_, _ = w.Write(a.Body) // the client is gone if this fails
	})
}

// startFloor runs a bare server whose answer is the one that the server at model
// gives to the request, and makes sure that it is.
func (h *house) startFloor(ctx context.Context, model string, request []byte) (s *server, err error) {
	wanted, err := ask(ctx, model, request)
	if err != nil {
		return nil, err
	}
	address, err := process.FreeAddress()
	if err != nil {
		return nil, err
	}
	input, err := json.Marshal(floor{Address: address, Answer: wanted})
	if err != nil {
		return nil, err
	}
	s, err = h.start(&server{address: address}, process.Command{
		Path: h.self, Args: []string{floorMode}, Env: maxProcs(serverCPUs()), Stdin: bytes.NewReader(input),
	})
	if err != nil {
		return nil, err
	}
	err = s.until(ctx, func() error {
		got, err := ask(ctx, address, request)
		if err == nil && !reflect.DeepEqual(got, wanted) {
			err = fmt.Errorf("the floor answers %v, and the server %v", got, wanted)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// ask sends the request and returns the answer, which must be a 200.
func ask(ctx context.Context, address string, request []byte) (answer, error) {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(readyTimeout)); err != nil {
		return answer{}, err
	}
	if _, err := conn.Write(request); err != nil {
		return answer{}, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("%s: %s", resp.Status, body)
	}
	maps.DeleteFunc(resp.Header, func(name string, _ []string) bool { return name == "Date" || name == "Content-Length" })
	return answer{Header: resp.Header, Body: body}, nil
}
