package account

import (
	"cmp"
	"context"
)

// KnownPlace returns a digest of the browser or the address that a request comes from, if the user whose username or
// verified email address was typed has logged in there before. Otherwise it is empty. It asks the same of the store
// whether or not there is such a user, so that the time does not tell. The address is an IP address. The error is that
// of ctx or the store.
func (l *Login) KnownPlace(ctx context.Context, typed, address string, b Browser) (string, error) {
	user, err := l.find(ctx, typed)
	if err != nil {
		return "", err
	}
	key, err := l.keyOf(ctx, Attempt{Address: address, Browser: b}, cmp.Or(user.ID, nobody), user)
	switch {
	case err != nil || user.ID == "":
		return "", err
	case key.Browser != "":
		return key.Browser, nil
	case key.AddressKnown:
		return key.KnownAs, nil
	}
	return "", nil
}
