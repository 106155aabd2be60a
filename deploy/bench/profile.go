package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/hallpass-auth/hallpass/deploy/bench/internal/load"
)

// profileDuration is how long the profiled load lasts.
const profileDuration = 10 * time.Second

// writeProfile puts the plan's load on the server and writes the CPU profile of that
// time, as its admin listener gives it, to the file.
func (h *house) writeProfile(ctx context.Context, plan load.Plan, admin, path string) error {
	plan.Duration = profileDuration + time.Second // so that the load lasts as long as the profile
	loaded := make(chan error, 1)
	go func() {
		_, err := h.runGenerator(ctx, plan)
		loaded <- err
	}()
	profile, err := fetchProfile(ctx, admin)
	if loadErr := <-loaded; err == nil {
		err = loadErr
	}
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return os.WriteFile(path, profile, 0o600)
}

func fetchProfile(ctx context.Context, admin string) ([]byte, error) {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, int(profileDuration.Seconds()))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s", response.Status)
	}
	return io.ReadAll(response.Body)
}
