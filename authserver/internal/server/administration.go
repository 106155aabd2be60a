package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/hallpass-auth/hallpass/shared/database"
	"github.com/hallpass-auth/hallpass/shared/oauth"
	"github.com/hallpass-auth/hallpass/shared/program"
	"github.com/hallpass-auth/hallpass/shared/token"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/admin"
	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
	"github.com/hallpass-auth/hallpass/authserver/internal/audit"
	"github.com/hallpass-auth/hallpass/authserver/internal/console"
	"github.com/hallpass-auth/hallpass/authserver/internal/issuing"
	"github.com/hallpass-auth/hallpass/authserver/internal/outbound"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
	"github.com/hallpass-auth/hallpass/authserver/internal/resource"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// Administration is the settings of the console and the admin API.
type Administration struct {
	AdminConsole             bool     `group:"Administration" env:"HALLPASS_ADMIN_CONSOLE" default:"false" help:"Serve the console at /admin and the admin API at /admin/api/v1, for users in the group admins and for services that 'client set --admin' has allowed (${default})."`
	AdminNetworks            []string `group:"Administration" env:"HALLPASS_ADMIN_NETWORKS" placeholder:"CIDR" help:"Networks from which the console and the admin API can be reached, such as 192.0.2.0/24. All other addresses get 404. By default all networks."`
	AdminWithoutSecondFactor bool     `group:"Administration" env:"HALLPASS_ADMIN_WITHOUT_SECOND_FACTOR" default:"false" help:"Let administrators work without a second factor: their password alone opens the console and the admin API (${default})."`
}

// networks returns the networks of the administrators; none means all. The error names the setting.
func (a *Administration) networks() ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range a.AdminNetworks {
		network, err := netip.ParsePrefix(text)
		if err == nil && network != network.Masked() {
			err = fmt.Errorf("%q has bits outside of its mask: the network is %s", text, network.Masked())
		}
		if err != nil {
			return nil, fmt.Errorf("--admin-networks (HALLPASS_ADMIN_NETWORKS): %w", err)
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// check checks the settings. The error names the setting.
func (a *Administration) check() error {
	if !a.AdminConsole && len(a.AdminNetworks) > 0 {
		return errors.New("--admin-networks (HALLPASS_ADMIN_NETWORKS) needs --admin-console (HALLPASS_ADMIN_CONSOLE)")
	}
	if !a.AdminConsole && a.AdminWithoutSecondFactor {
		return errors.New("--admin-without-second-factor (HALLPASS_ADMIN_WITHOUT_SECOND_FACTOR) needs " +
			"--admin-console (HALLPASS_ADMIN_CONSOLE)")
	}
	_, err := a.networks()
	return err
}

// prepare registers the admin API if it is on, and warns if it is open without a second factor.
func (a *Administration) prepare(
	ctx context.Context,
	data *store.Store,
	issuer string,
	now time.Time,
	log *slog.Logger,
) error {
	if !a.AdminConsole {
		return nil
	}
	if a.AdminWithoutSecondFactor {
		log.WarnContext(ctx, "--admin-without-second-factor (HALLPASS_ADMIN_WITHOUT_SECOND_FACTOR): "+
			"the password of an administrator is enough to administer this server")
	}
	err := data.CreateAPI(ctx, resource.API{
		Audience: issuer + issuing.AdminPath, Name: "Administration of Hallpass",
		Scope: oauth.Scope{resource.AdminScope}, CreatedAt: now,
	})
	if errors.Is(err, record.ErrExists) {
		return nil
	}
	return err
}

// adminAudience returns the audience of the admin API, whether it is on or not.
func (s *Settings) adminAudience() string { return s.Issuer + adminapi.Path }

// setAdminAPI sets what the endpoints need for the admin API, if it is on.
func (s *Settings) setAdminAPI(cfg *web.Config, data *store.Store, login *account.Login, guard *outbound.Guard) error {
	if !s.Admin.AdminConsole {
		return nil
	}
	networks, err := s.Admin.networks()
	if err != nil {
		return err
	}
	verifier, err := token.NewVerifier(token.VerifierConfig{
		Keys: cfg.Keys, Issuer: s.Issuer, Audience: s.adminAudience(), OwnAudience: s.adminAudience(), Now: s.Now,
	})
	if err != nil {
		return err
	}
	api, err := adminapi.New(adminapi.Config{
		Issuer:   s.Issuer,
		Version:  program.Version,
		Admin:    s.newAdmin(data, login),
		Webhooks: s.newWebhooks(cfg, data, guard),
		Tokens:   cfg.Tokens,
		Verifier: verifier,
		Proofs:   cfg.Proofs,
		Networks: networks,
		Now:      s.Now,
		Log:      cfg.Log,

		WithoutSecondFactor: s.Admin.AdminWithoutSecondFactor,
	})
	if err != nil {
		return err
	}
	cfg.AdminAPI, cfg.AdminWithoutSecondFactor = api, s.Admin.AdminWithoutSecondFactor
	cfg.Console = func(site web.Site) http.Handler {
		return console.New(console.Config{
			Site: site, API: api, Issuer: s.Issuer, Networks: networks, Now: s.Now, Log: cfg.Log,

			WithoutSecondFactor: s.Admin.AdminWithoutSecondFactor,
		})
	}
	return nil
}

// onSeveralMachines reports whether servers on other machines may use the database.
func (s *Settings) onSeveralMachines() bool {
	_, sqlite := database.SQLitePath(s.Database.DatabaseURL)
	return !sqlite
}

// newAdmin returns what administers the database for requests.
func (s *Settings) newAdmin(data *store.Store, login *account.Login) *admin.Service {
	return &admin.Service{
		Store: data,
		Now:   s.Now,
		Hash: func(ctx context.Context, user account.User, password string) (string, error) {
			if err := login.CheckPassword(user, password); err != nil {
				return "", err
			}
			return login.Hash(ctx, password, audit.ActorFrom(ctx).Address)
		},
		Mails:   s.Mail.SMTPURL != "" || s.inboxOn(),
		Invites: s.SignUp.on(),
		Keys: admin.KeyFiles{
			Path:     s.Keys.KeysFile,
			Copied:   s.onSeveralMachines(),
			Lifetime: s.AccessTokenLifetime,
		},
	}
}
