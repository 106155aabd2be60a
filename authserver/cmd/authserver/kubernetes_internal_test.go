package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// kubernetes stands for the API server: it keeps Secrets of the namespace identity, and refuses a patch of another
// version, as optimistic locking by resourceVersion does.
type kubernetes struct {
	mu       sync.Mutex
	secrets  map[string][]byte // keys.json of each
	versions map[string]int
	writes   []string          // names, in order
	between  func(*kubernetes) // called once after the first read, if set
	answer   map[string]int    // status by method, in place of an answer
	stuck    string            // the Secret whose patches fail, if set
}

func (k *kubernetes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name := strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/identity/secrets/")
	_, ok := k.secrets[name]
	switch {
	case r.Header.Get("Authorization") != "Bearer "+podToken:
		w.WriteHeader(http.StatusUnauthorized)
	case k.answer[r.Method] != 0:
		w.WriteHeader(k.answer[r.Method])
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodPatch && name == k.stuck:
		w.WriteHeader(http.StatusInternalServerError)
	case r.Method == http.MethodPatch && r.Header.Get("Content-Type") == "application/merge-patch+json":
		k.patch(w, r, name)
	case r.Method == http.MethodGet:
		k.write(w, name)
		if k.between != nil {
			k.between(k)
			k.between = nil
		}
	default:
		w.WriteHeader(http.StatusUnsupportedMediaType)
	}
}

// secretJSON is a Secret as the API server has it.
type secretJSON struct {
	APIVersion string            `json:"apiVersion,omitempty"`
	Metadata   map[string]string `json:"metadata"`
	Data       map[string][]byte `json:"data"`
}

func (k *kubernetes) write(w http.ResponseWriter, name string) {
	_ = json.NewEncoder(w).Encode(secretJSON{
		APIVersion: "v1",
		Metadata:   map[string]string{"name": name, "resourceVersion": strconv.Itoa(k.versions[name])},
		Data:       map[string][]byte{"keys.json": k.secrets[name]},
	})
}

func (k *kubernetes) patch(w http.ResponseWriter, r *http.Request, name string) {
	var change secretJSON
	switch err := json.NewDecoder(r.Body).Decode(&change); {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case change.Metadata["resourceVersion"] != strconv.Itoa(k.versions[name]):
		w.WriteHeader(http.StatusConflict)
	default:
		k.versions[name]++
		k.secrets[name] = change.Data["keys.json"]
		k.writes = append(k.writes, name)
		k.write(w, name)
	}
}
