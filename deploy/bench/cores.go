package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
)

// measureCores measures each server alone on 1, 2, 4 ... CPUs, compared with one. wrk runs on the
// other CPUs. Where there are none, it shares those of the server.
func measureCores(ctx context.Context, b *bench) (rows []row, err error) {
	if path, _ := exec.LookPath("taskset"); path == "" {
		return []row{{what: "**Cores: taskset is not installed**"}}, nil
	}
	all := results{}
	for _, n := range coreCounts(runtime.NumCPU()) {
		if err := b.measureOn(ctx, n, all); err != nil {
			return nil, err
		}
	}
	for _, what := range coreRows {
		rows = append(rows, row{what: fmt.Sprintf("**%s, %d connections** (floor: on one CPU)", what, many)})
		for _, n := range coreCounts(runtime.NumCPU()) {
			name := fmt.Sprintf("requests a second, %d of the CPUs%s", n, sharing(n, runtime.NumCPU()))
			rows = append(rows, all.compare(name, perSecond, coreSeries(what, n), coreSeries(what, 1), goal{}))
		}
	}
	return rows, nil
}

var coreRows = []string{"GET /users/me", "client_credentials", "refresh"}

func coreSeries(what string, n int) string { return what + " " + strconv.Itoa(n) }

// coreCounts returns the powers of two below the number of CPUs, and that number.
func coreCounts(cpus int) (counts []int) {
	for n := 1; n < cpus; n *= 2 {
		counts = append(counts, n)
	}
	return append(counts, cpus)
}

// onCores is the share of a server that gets the first n CPUs.
func onCores(n, cpus int) share {
	s := share{cpus: fmt.Sprintf("0-%d", n-1), wrkCPUs: fmt.Sprintf("%d-%d", n, cpus-1), wrkThreads: cpus - n}
	if n == cpus {
		s.wrkCPUs, s.wrkThreads = s.cpus, cpus
	}
	return s
}

func sharing(n, cpus int) string {
	if n == cpus {
		return ", shared with wrk"
	}
	return ""
}

// measureOn measures both servers on n CPUs. Only one of them works at a time.
func (b *bench) measureOn(ctx context.Context, n int, all results) error {
	part, database := onCores(n, runtime.NumCPU()), b.sqlite("cores"+strconv.Itoa(n))
	auth, err := b.serveAuth(ctx, part, database, lowCost)
	if err != nil {
		return err
	}
	defer auth.stop()
	api, err := b.serveAPI(ctx, part, auth)
	if err != nil {
		return err
	}
	defer api.stop()
	secret, errService := b.addService(ctx, database)
	login, errLogin := logIn(ctx, auth)
	if err := errors.Join(errService, errLogin); err != nil {
		return err
	}
	return all.warm(ctx, b.fewerRounds(),
		b.loaded(coreSeries(coreRows[0], n), api, get("/users/me", login.Access).on(many)),
		b.loaded(coreSeries(coreRows[1], n), auth, serviceLoad(secret, many)),
		b.loaded(coreSeries(coreRows[2], n), auth, refreshLoad(many)))
}
