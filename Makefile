# `make help` lists the targets. `make run` and `make test` need Go, make, bash and curl;
# `make test-deps` installs what the other tests need.

GO      ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X github.com/hallpass-auth/hallpass/shared/program.Version=$(VERSION)

.DEFAULT_GOAL := help
.PHONY: help build run run-mcp run-admin run-spa test test-all test-compose test-hostile test-fleet test-kubernetes soak pictures \
	test-deps lint bench bench-peers fuzz guard guard-update release release-images clean

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

build: ## Build bin/authserver and bin/resourceserver: static, without cgo
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/ \
		./authserver/cmd/authserver ./resourceserver/cmd/resourceserver

run: build ## Run both servers with demo users, until Ctrl-C; deploy/run.sh lists the settings
	@deploy/run.sh

run-mcp: build ## Run both servers and an MCP server, for agents that nobody has registered
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -o bin/ ./deploy/examples/mcp
	@deploy/run-mcp.sh

run-admin: build ## Run both servers and the website for administrators of deploy/examples/admin
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -o bin/ ./deploy/examples/admin
	@deploy/run-example.sh admin

run-spa: build ## Run both servers and the single-page app of deploy/examples/spa (needs npm)
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -o bin/ ./deploy/examples/spa
	@npm ci --prefix deploy/examples/spa --ignore-scripts --no-audit --no-fund
	@deploy/run-example.sh spa

test: build ## Run all tests except the long ones: at most three minutes
	@deploy/test.sh short

test-all: build ## Run all tests, with the race detector except where they drive programs
	@deploy/test.sh all

test-compose: ## Test docker-compose.yml with Docker: all of it, or PARTS="services observability"
	@deploy/compose/test.sh $(PARTS)

test-hostile: build ## Attack both servers and Caddy, with 10,000 connections, 1 GB bodies and floods of HTTP/2 frames
	@deploy/test.sh all -run '^TestHostile' ./deploy/e2e -hostile

test-fleet: build ## Let PostgreSQL fail over under load, with Patroni, and fill disks (needs root; 9 minutes)
	@LIVE=1 deploy/test.sh all -run 'Test(Fleet|FullDisk)$$' ./deploy/e2e -fleet

soak: build ## Let servers, keys and PostgreSQL change under mixed load: 10 minutes, or SOAK=2h (needs root)
	cd deploy/e2e && HALLPASS_BIN='$(CURDIR)/bin' $(GO) test -v -count=1 -timeout 0 -run 'TestSoak$$' . -soak '$(or $(SOAK),10m)'

test-kubernetes: build bin/kube-apiserver ## Try the chart on a Kubernetes API server, with etcd (needs root; builds 20 minutes once)
	cd deploy/kubernetes && HALLPASS_BIN='$(CURDIR)/bin' $(GO) test -v -count=1 -timeout 1h -run 'OnAPIServer$$' . \
		-apiserver '$(CURDIR)/bin/kube-apiserver'

bin/kube-apiserver: deploy/kubernetes/build-apiserver.sh
	deploy/kubernetes/build-apiserver.sh

pictures: build ## Take the pictures of deploy/docs/pictures again (needs Chromium)
	cd deploy/e2e && HALLPASS_BIN='$(CURDIR)/bin' $(GO) test -count=1 -run TestTakePictures . -pictures

test-deps: ## Install what the tests need beyond Go: Debian packages and npm modules
	@deploy/test-deps.sh

lint: bin/lint/golangci-lint ## Check the code: gofmt, go vet, golangci-lint, staticcheck, govulncheck
	@deploy/lint/lint.sh

bench: build ## Measure the servers against bare ones (needs wrk; takes 14 minutes)
	cd deploy/bench && HALLPASS_BIN='$(CURDIR)/bin' $(GO) run . $(BENCH)

bench-peers: build ## Measure the servers against others: deploy/docs/measurements.md says what to install
	npm install --prefix deploy/bench/peers --no-package-lock --ignore-scripts --no-audit --no-fund
	cd deploy/bench && HALLPASS_BIN='$(CURDIR)/bin' $(GO) run . -parts peers $(BENCH)

fuzz: ## Fuzz what strangers can send, FUZZTIME=1m for each target: make fuzz FUZZ="FuzzToken FuzzCookie" for some
	@deploy/fuzz.sh $(FUZZ)

guard: ## Count instructions of signing, verifying and token requests; fail at 5 % more (needs valgrind)
	cd deploy/bench && $(GO) run . -guard

release: ## Build the programs of a release in dist/, twice, with checksums, SBOM and provenance
	@deploy/release/release.sh

release-images: ## Build the image of each program twice, and compare their files (needs Docker)
	@deploy/release/images.sh

guard-update: ## Accept today's number of instructions
	cd deploy/bench && $(GO) run . -guard -update

clean: ## Remove what was built (var/ stays, with the keys and the database)
	rm -rf bin deploy/e2e/artifacts

# The linters are tools of a module outside the workspace, so that their dependencies do not
# affect the versions of ours.
bin/lint/golangci-lint: deploy/lint/go.mod deploy/lint/go.sum
	@echo 'Building the linters: this takes a few minutes, once.'
	cd deploy/lint && GOWORK=off CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -o '$(CURDIR)/bin/lint/' tool
	@touch $@
