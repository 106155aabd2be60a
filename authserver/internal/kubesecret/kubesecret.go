// Package kubesecret reads and changes Kubernetes Secrets, from a pod whose service account may do so. Two kinds of
// request do not justify a client library.
package kubesecret

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Where Kubernetes puts the credentials of a pod's service account.
const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

// Limits of a request.
const (
	timeout     = 30 * time.Second
	maxResponse = 4 << 20 // a Secret has at most 1 MiB
)

var (
	// errNotInPod reports that the program does not run in a pod with a token.
	errNotInPod = errors.New("this runs in a pod of Kubernetes only, with the token of a service account")
	// errNoEntry reports that a Secret has no entry of that name.
	errNoEntry = errors.New("the Secret has no such entry")
	// errChanged reports that somebody else has changed the Secret since it was read.
	errChanged = errors.New("the Secret was changed meanwhile: run the command again")
)

// Client reads and changes the Secrets of one namespace at the Kubernetes API server. It is safe for concurrent use.
type Client struct {
	url   *url.URL // of the Secrets
	token string
	http  *http.Client
}

// Secret is a Secret at the time it was read.
type Secret struct {
	name    string
	version string
	data    map[string][]byte
}

// InPod returns a client with the credentials of the pod's service account, for the pod's namespace. It fails
// if there are none. getenv and the folder are those of the process, except in tests.
func InPod(getenv func(string) string, folder string) (*Client, error) {
	if folder == "" {
		folder = accountFolder
	}
	host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errNotInPod
	}
	var files [3]string
	for i, name := range []string{"token", "namespace", "ca.crt"} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotInPod, err)
		}
		files[i] = strings.TrimSpace(string(content))
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM([]byte(files[2])) {
		return nil, fmt.Errorf("%s has no certificate", filepath.Join(folder, "ca.crt"))
	}
	base := &url.URL{Scheme: "https", Host: net.JoinHostPort(host, port)}
	return &Client{
		url:   base.JoinPath("api/v1/namespaces", files[1], "secrets"),
		token: files[0],
		http: &http.Client{
			Timeout:   timeout,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}},
			// The token is for this server alone.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// object is the part of a Secret that is read or changed. Its data is in Base64 (RFC 4648), as JSON has []byte.
type object struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Data map[string][]byte `json:"data"`
}

// Get reads a Secret. Its errors never have the content.
func (c *Client) Get(ctx context.Context, name string) (*Secret, error) {
	var o object
	if err := c.do(ctx, http.MethodGet, name, nil, &o); err != nil {
		return nil, err
	}
	return &Secret{name: name, version: o.Metadata.ResourceVersion, data: o.Data}, nil
}

// Entry returns an entry of the Secret. It fails if there is no such entry.
func (s *Secret) Entry(entry string) ([]byte, error) {
	value, ok := s.data[entry]
	if !ok {
		return nil, fmt.Errorf("secret %s: %w: %s", s.name, errNoEntry, entry)
	}
	return value, nil
}

// Set replaces an entry of a Secret that was read by Get, and can be called again. It fails, and changes nothing, if
// somebody else has changed the Secret since.
func (c *Client) Set(ctx context.Context, s *Secret, entry string, value []byte) error {
	var change object
	change.Metadata.ResourceVersion = s.version // then the API server refuses a change of another version
	change.Data = map[string][]byte{entry: value}
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	if err := c.do(ctx, http.MethodPatch, s.name, body, &change); err != nil {
		return err
	}
	s.version, s.data = change.Metadata.ResourceVersion, change.Data
	return nil
}

// do sends a request about a Secret and decodes the response into result, unless that is nil.
func (c *Client) do(ctx context.Context, method, name string, body []byte, result any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.url.JoinPath(name).String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/merge-patch+json") // RFC 7396
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("asking Kubernetes for Secret %s: %w", name, err)
	}
	defer response.Body.Close()
	if err := problem(response.StatusCode, method, name); err != nil || result == nil {
		return err
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxResponse)).Decode(result); err != nil {
		return fmt.Errorf("secret %s: the response of Kubernetes is not a Secret", name) // err may quote it
	}
	return nil
}

// problem returns the error of a status. The text of the response is left out: it could repeat what was sent.
func problem(status int, method, name string) error {
	verb := map[string]string{http.MethodGet: "get", http.MethodPatch: "patch"}[method]
	switch status {
	case http.StatusOK:
		return nil
	case http.StatusConflict:
		return fmt.Errorf("secret %s: %w", name, errChanged)
	case http.StatusNotFound:
		return fmt.Errorf("there is no Secret %s in this namespace", name)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("the service account may not %s Secret %s: give it a Role with this verb (Kubernetes responds "+
			"with %d)", verb, name, status)
	}
	return fmt.Errorf("secret %s: Kubernetes responds with %d to %s", name, status, method)
}
