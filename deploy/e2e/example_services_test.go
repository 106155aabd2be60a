package e2e_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// shop is the example deploy/examples/services beside an authorization server.
type shop struct {
	*system
	program   string
	keys      string // folder
	ordersURL string
	stockAt   string // address
	secret    string // of the app that users log in to
}

// newShop builds the program, makes the keys and registers everything, as the page says. It starts the
// authorization server, and no service.
func newShop(t *testing.T) *shop {
	t.Helper()
	addresses := freeAddresses(t, 2)
	sh := &shop{
		system: newSystem(t), keys: t.TempDir(), ordersURL: "http://" + addresses[0], stockAt: addresses[1],
	}
	sh.program = filepath.Join(sh.keys, "services")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", sh.program, "./deploy/examples/services")
	build.Dir = root
	sh.mustRun(t, build)
	for _, dir := range []string{"orders", "stock", "nightly", "public"} {
		if err := os.Mkdir(sh.file(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"orders", "nightly"} {
		sh.mustRun(t, sh.command("key", sh.file(id, "key.pem"), sh.file("public", id+".jwks.json")))
	}
	sh.startAuthserver(t, "--demo")
	register := exec.CommandContext(t.Context(), filepath.Join(root, "deploy/examples/services/register.sh"))
	register.Env = cleanEnv("AUTHSERVER="+filepath.Join(bin, "authserver"), "KEYS="+sh.keys, "ORDERS_URL="+sh.ordersURL,
		"HALLPASS_DATABASE_URL="+sh.database, "HALLPASS_KEYS_FILE="+sh.keysFile)
	sh.mustRun(t, register)
	sh.restart(t, "--demo") // so that it has the keys of the APIs at once
	sh.secret = strings.TrimSpace(sh.admin(t, "", "client", "add", "shop", "--grant", "password",
		"--scope", "orders:write stock:read"))
	return sh
}

// file returns the path of a file in the folder of the keys.
func (sh *shop) file(names ...string) string {
	return filepath.Join(append([]string{sh.keys}, names...)...)
}

// command returns a command of the program.
func (sh *shop) command(args ...string) *exec.Cmd {
	cmd := exec.Command(sh.program, args...)
	cmd.Env = cleanEnv()
	return cmd
}

// mustRun runs a command that must succeed.
func (sh *shop) mustRun(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// start starts stock and orders, and waits until they listen.
func (sh *shop) start(t *testing.T) (stock *process) {
	t.Helper()
	stock = launch(t, "stock", sh.command("stock", "-issuer", sh.authURL, "-keys", sh.file("stock", "api.json"),
		"-listen", sh.stockAt))
	ordersAt := strings.TrimPrefix(sh.ordersURL, "http://")
	orders := launch(t, "orders", sh.command("orders", "-issuer", sh.authURL, "-audience", sh.ordersURL,
		"-keys", sh.file("orders", "api.json"), "-client-key", sh.file("orders", "key.pem"),
		"-listen", ordersAt, "-stock", sh.stockAt))
	for address, p := range map[string]*process{sh.stockAt: stock, ordersAt: orders} {
		waitFor(t, p.name+" to listen", func() bool {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
			}
			return err == nil
		}, p)
	}
	return stock
}

// nightly returns the job, which authenticates with a key.
func (sh *shop) nightly(key string) *exec.Cmd {
	return sh.command("nightly", "-issuer", sh.authURL, "-client-key", key, "-stock", sh.stockAt)
}

// user logs john.doe in, and returns a token for orders.
func (sh *shop) user(t *testing.T) string {
	t.Helper()
	return send(t, sh.authURL, form("grant_type", "password", "username", "john.doe", "password", demoPassword,
		"client_id", "shop", "client_secret", sh.secret, "resource", sh.ordersURL)).text(t, "access_token")
}

// order orders as a user.
func (sh *shop) order(t *testing.T, accessToken, body string) response {
	t.Helper()
	return send(t, sh.ordersURL, request{
		method: http.MethodPost, path: "/orders", body: body,
		header: http.Header{"Authorization": {"Bearer " + accessToken}},
	})
}

// stockCode calls a method of stock with values of the metadata authorization, and returns the code of the status.
func (sh *shop) stockCode(t *testing.T, method string, authorization ...string) codes.Code {
	t.Helper()
	conn, err := grpc.NewClient(sh.stockAt, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	md := metadata.MD{}
	md.Append("authorization", authorization...)
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(t.Context(), md), timeout)
	defer cancel()
	return status.Code(conn.Invoke(ctx, "/stock.v1.Stock/"+method, new(emptypb.Empty), new(emptypb.Empty)))
}

// The job writes for itself, the API asks for its user by token exchange, and the gRPC service lets nobody else in.
func TestExampleServices(t *testing.T) {
	longTest(t)
	t.Parallel()
	sh := newShop(t)
	stock := sh.start(t)
	john := sh.user(t)
	if got := sh.order(t, john, `{"item": "apples", "count": 2}`); got.status != http.StatusNotFound {
		t.Errorf("before the first night: %d %s", got.status, got.body)
	}
	for range 2 { // each run needs a new assertion
		sh.mustRun(t, sh.nightly(sh.file("nightly", "key.pem")))
	}
	for body, want := range map[string]int{
		`{"item": "apples", "count": 2}`:    http.StatusCreated,
		`{"item": "apples", "count": 1000}`: http.StatusConflict,
		`{"item": "plums", "count": 2}`:     http.StatusNotFound,
		`{"item": "apples", "count": 0}`:    http.StatusBadRequest,
		`{`:                                 http.StatusBadRequest,
	} {
		if got := sh.order(t, john, body); got.status != want {
			t.Errorf("%s: %d %s, want %d", body, got.status, got.body, want)
		}
	}
	large := sh.order(t, john, `{"item": "`+strings.Repeat("x", 4<<10)+`", "count": 2}`)
	if large.status != http.StatusRequestEntityTooLarge ||
		large.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a large order: %d %v %s", large.status, large.header, large.body)
	}
	if log := stock.output.String(); !strings.Contains(log, "apples is read for usr_") ||
		!strings.Contains(log, "by orders, acting: [orders]") {
		t.Errorf("stock does not log the user and who acts:\n%s", log)
	}
	sh.checkStrangers(t, john)

	sh.authserver.stop(t)
	if got := sh.order(t, john, `{"item": "apples", "count": 2}`); got.status != http.StatusCreated {
		t.Errorf("without the authorization server: %d %s", got.status, got.body)
	}
	sh.startAuthserver(t, "--demo")
	sh.admin(t, "", "user", "logout", "john.doe")
	waitFor(t, "orders to refuse a login that has ended", func() bool {
		return sh.order(t, john, `{"item": "apples", "count": 2}`).isInvalidToken()
	}, sh.authserver)
}

// checkStrangers checks that neither API accepts what is not for it.
func (sh *shop) checkStrangers(t *testing.T, john string) {
	t.Helper()
	for what, authorization := range map[string][]string{
		"no token": nil, "not a token": {"Bearer x"}, "a token for orders": {"Bearer " + john},
	} {
		for _, method := range []string{"Get", "Set"} {
			if code := sh.stockCode(t, method, authorization...); code != codes.Unauthenticated {
				t.Errorf("%s: %s of stock responds with %v", what, method, code)
			}
		}
	}
	if code := sh.stockCode(t, "Get", "Bearer "+john, "Bearer "+john); code != codes.InvalidArgument {
		t.Errorf("two tokens: stock responds with %v", code)
	}
	nobody := send(t, sh.ordersURL, request{method: http.MethodPost, path: "/orders"})
	if nobody.status != http.StatusUnauthorized {
		t.Errorf("an order without a token: %d", nobody.status)
	}
	service := strings.TrimSpace(sh.admin(t, "", "client", "add", "reader", "--grant", "client_credentials",
		"--scope", "stock:read orders:write"))
	token := func(api string) string {
		return send(t, sh.authURL, form("grant_type", "client_credentials", "client_id", "reader",
			"client_secret", service, "resource", api)).text(t, "access_token")
	}
	if got := sh.order(t, token(sh.ordersURL), `{"item": "apples", "count": 2}`); !got.isInvalidToken() {
		t.Errorf("an order of a service: %d %s", got.status, got.body)
	}
	reader := "Bearer " + token("urn:example:stock")
	if code := sh.stockCode(t, "Set", reader); code != codes.PermissionDenied {
		t.Errorf("Set without its scope: %v", code)
	}
	if code := sh.stockCode(t, "Get", reader); code != codes.NotFound {
		t.Errorf("Get with its scope: %v", code)
	}
	sh.checkStreamEnds(t, reader, func() { sh.admin(t, "", "client", "rotate-secret", "reader", "--revoke") })
}

// checkStreamEnds checks that a stream of stock ends when its token is revoked.
func (sh *shop) checkStreamEnds(t *testing.T, authorization string, revoke func()) {
	t.Helper()
	conn, err := grpc.NewClient(sh.stockAt, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", authorization)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/stock.v1.Stock/Watch")
	if err != nil {
		t.Fatal(err)
	}
	item := wrapperspb.String("apples") // encoded as a GetRequest is
	if err := errors.Join(stream.SendMsg(item), stream.CloseSend(), stream.RecvMsg(new(emptypb.Empty))); err != nil {
		t.Fatalf("Watch: %v", err)
	}
	revoke()
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			err = stream.RecvMsg(new(emptypb.Empty))
		}
		ended <- err
	}()
	waitFor(t, "the stream to end", func() bool {
		sh.mustRun(t, sh.nightly(sh.file("nightly", "key.pem"))) // causes messages
		select {
		case err = <-ended:
			return true
		default:
			return false
		}
	})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("the stream ends with %v", err)
	}
}

// A program with the key or the secret of another one gets nothing.
func TestExampleServicesWrongKeys(t *testing.T) {
	longTest(t)
	t.Parallel()
	sh := newShop(t)
	sh.start(t)
	for what, tt := range map[string]struct {
		cmd  *exec.Cmd
		want string
	}{
		"the job, with the key of orders": {sh.nightly(sh.file("orders", "key.pem")), "invalid_client"},
		"the job, without a key":          {sh.nightly(sh.file("key.pem")), "-client-key"},
		"the job, without a PEM file":     {sh.nightly(sh.file("public", "nightly.jwks.json")), "not a PEM file"},
		"stock, with the keys of orders": {
			sh.command("stock", "-issuer", sh.authURL, "-keys", sh.file("orders", "api.json")), "secret of another API",
		},
		"no command": {sh.command(), "usage"},
	} {
		out, err := tt.cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
}
