package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
	"github.com/hallpass-auth/hallpass/authserver/internal/passkey"
	"github.com/hallpass-auth/hallpass/authserver/internal/secondfactor"
	"github.com/hallpass-auth/hallpass/authserver/internal/store"
)

// refreshVaultEvery is how often a server looks whether its keys have changed, to seal the key of second factors with
// the new ones. It is much shorter than the time from the rotation of a key to the end of the previous one.
const refreshVaultEvery = 10 * time.Second

// The values of --second-factor.
const (
	secondFactorOptional = "optional"
	secondFactorRequired = "required"
)

// SecondFactor is the settings of second factors and of passwords.
type SecondFactor struct {
	SecondFactor       string   `group:"Logins" env:"HALLPASS_SECOND_FACTOR" enum:"optional,required" default:"optional" help:"Whether all users must have a second factor: optional or required. Those who have none add an app or a passkey in their next login (${default})."`
	PasswordMinLength  int      `group:"Logins" env:"HALLPASS_PASSWORD_MIN_LENGTH" default:"${password_min_length}" placeholder:"N" help:"Minimum length of new passwords, in characters: 8 to 64. It is 8 for users who must have a second factor (${default})."`
	SecondFactorGroups []string `group:"Logins" env:"HALLPASS_SECOND_FACTOR_GROUPS" placeholder:"GROUP" help:"With optional: the groups whose members must have a second factor."`
}

// policy returns who must have a second factor. The error names the setting.
func (s *SecondFactor) policy() (account.SecondFactorPolicy, error) {
	groups, err := account.PrepareGroups(s.SecondFactorGroups)
	if err != nil {
		return account.SecondFactorPolicy{}, fmt.Errorf("--second-factor-groups (HALLPASS_SECOND_FACTOR_GROUPS): %w", err)
	}
	everybody := s.SecondFactor == secondFactorRequired
	if everybody && len(groups) > 0 {
		return account.SecondFactorPolicy{}, errors.New(
			"--second-factor=required (HALLPASS_SECOND_FACTOR) means all users: " +
				"leave out --second-factor-groups (HALLPASS_SECOND_FACTOR_GROUPS)")
	}
	return account.SecondFactorPolicy{Everybody: everybody, Groups: groups}, nil
}

// check checks the settings. The error names the setting.
func (s *SecondFactor) check() error {
	if s.PasswordMinLength < account.MinPassword || s.PasswordMinLength > account.LongestMinPassword {
		return fmt.Errorf("--password-min-length (HALLPASS_PASSWORD_MIN_LENGTH) must be from %d to %d, not %d",
			account.MinPassword, account.LongestMinPassword, s.PasswordMinLength)
	}
	_, err := s.policy()
	return err
}

// newSecondFactors returns what checks second factors, and starts to follow rotations of the keys.
func newSecondFactors(s Settings, p Parts, login *account.Login) *secondfactor.Service {
	vault := secondfactor.NewVault(p.Data, p.Keys, s.Now, p.Log)
	p.Background.run(func(ctx context.Context) { refreshVault(ctx, vault, p.Log) })
	return &secondfactor.Service{
		Store: p.Data, Vault: vault, Login: login, Policy: login.SecondFactors, Name: hostOf(s.Issuer),
		Now: s.Now, Log: p.Log,
	}
}

// newPasskeys returns what runs the ceremonies of passkeys; nil if the issuer is an IP address.
func newPasskeys(s Settings, data *store.Store, login *account.Login) (*passkey.Service, error) {
	passkeys, err := passkey.New(passkey.Config{
		Issuer: s.Issuer, Key: login.NameKey, Store: data, Login: login, Now: s.Now, Random: rand.Reader,
	})
	if errors.Is(err, passkey.ErrNoDomain) {
		return nil, nil //nolint:nilnil // the account page says why there are none
	}
	return passkeys, err
}

// refreshVault seals the key of second factors with new keys of the server, until ctx ends.
func refreshVault(ctx context.Context, vault *secondfactor.Vault, log *slog.Logger) {
	every(ctx, refreshVaultEvery, func(ctx context.Context) {
		err := vault.Refresh(ctx)
		if err != nil && !errors.Is(err, secondfactor.ErrSealed) && ctx.Err() == nil { // the vault logs ErrSealed once
			log.WarnContext(ctx, "cannot prepare the key of second factors", "error", err)
		}
	})
}

// hostOf returns the host of the issuer, as apps show it.
func hostOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer
	}
	return u.Host
}
