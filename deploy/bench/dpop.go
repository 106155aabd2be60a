package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"

	"github.com/hallpass-auth/hallpass/shared/dpop"
)

// Goals of GET /users/me with a DPoP proof: requests per second, relative to a bare handler that verifies one ES256
// signature, and to the same request with a bearer token.
const (
	minRatioToSignature = 0.75
	minRatioToBearer    = 0.5
)

// proofsOfRound is how many proofs are made for a round: more than any server takes in roundSeconds. Each is used once.
const proofsOfRound = 30_000

// dpopPath is the request that is measured.
const dpopPath = "/users/me"

// withProof is the API under requests with proofs.
const withProof = resourceserver + ", DPoP"

// boundClient is the demo's client with a key.
type boundClient struct {
	signer *dpop.Signer
	access string // bound to the key
}

// measureDPoP compares requests to the API that have a proof with those that have a bearer token, and with a bare
// handler that verifies one signature.
func measureDPoP(ctx context.Context, b *bench) ([]row, error) {
	auth, err := b.serveAuth(ctx, share{}, b.sqlite("dpop"), lowCost)
	if err != nil {
		return nil, err
	}
	defer auth.stop()
	login, err := logIn(ctx, auth)
	if err != nil {
		return nil, err
	}
	client, err := newBoundClient(ctx, auth)
	if err != nil {
		return nil, err
	}
	r := results{}
	for left := b.rounds; left > 0; left -= roundsPerStart {
		if err := b.measureBound(ctx, auth, client, login.Access, min(left, roundsPerStart), r); err != nil {
			return nil, err
		}
	}
	const heading = "**GET " + dpopPath + " with a DPoP proof** "
	rows := []row{{what: heading + "(floor: a bare handler that verifies one ES256 signature)"}}
	rows = append(rows, r.compareAll(withProof, verifiesES256, atLeast(minRatioToSignature))...)
	rows = append(rows, row{what: heading + "(floor: the same with a bearer token)"})
	return append(rows, r.compareAll(withProof, resourceserver, atLeast(minRatioToBearer))...), nil
}

// measureBound starts the servers and measures some rounds.
func (b *bench) measureBound(
	ctx context.Context, auth *server, client *boundClient, bearer string, rounds int, r results,
) error {
	api, err := b.serveAPI(ctx, half(), auth)
	if err != nil {
		return err
	}
	defer api.stop()
	floor, err := b.serveFloor(ctx, half(), verifiesES256, "")
	if err != nil {
		return err
	}
	defer floor.stop()
	return r.warm(ctx, rounds,
		b.loaded(withProof, api, client.load),
		b.loaded(resourceserver, api, get(dpopPath, bearer).on(few)),
		b.loaded(verifiesES256, floor, client.load))
}

// newBoundClient logs in with a proof.
func newBoundClient(ctx context.Context, auth *server) (*boundClient, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := dpop.NewSigner(key, nil)
	if err != nil {
		return nil, err
	}
	l := passwordGrant(username, password)
	first, err := signer.Proof(l.method, issuer+l.path, "", "")
	if err != nil {
		return nil, err
	}
	l.proof = first
	refused, err := l.fetch(ctx, auth.address)
	if err != nil {
		return nil, err
	}
	if l.proof, err = signer.Proof(l.method, issuer+l.path, "", refused.nonce); err != nil {
		return nil, err
	}
	t, err := l.getTokens(ctx, auth)
	return &boundClient{signer, t.Access}, err
}

// load makes the proofs of a round, with a nonce of the API. The floor gets such requests too, and no nonce.
func (c *boundClient) load(ctx context.Context, s *server) (load, error) {
	l := get(dpopPath, "")
	l.authorization = dpop.Scheme + " " + c.access
	proof, err := c.proof("")
	if err != nil {
		return load{}, err
	}
	l.proof = proof
	asked, err := l.fetch(ctx, s.address)
	if err != nil {
		return load{}, err
	}
	l.proof, l.proofs = "", make([]string, proofsOfRound)
	for i := range l.proofs {
		if l.proofs[i], err = c.proof(asked.nonce); err != nil {
			return load{}, err
		}
	}
	return l, nil
}

func (c *boundClient) proof(nonce string) (string, error) {
	return c.signer.Proof(http.MethodGet, audience+dpopPath, c.access, nonce)
}

// verifySignature returns a handler that verifies one ES256 signature before it calls next.
func verifySignature(next http.Handler) http.Handler {
	key, errKey := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	digest := sha256.Sum256([]byte(audience))
	var signature []byte
	var err error
	if errKey == nil {
		signature, err = ecdsa.SignASN1(rand.Reader, key, digest[:])
	}
	if err := errors.Join(errKey, err); err != nil {
		panic(fmt.Sprintf("signing: %v", err)) // the system has no random numbers
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			http.Error(w, "the signature is wrong", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}
