package adminapi

import "context"

// UserLogins counts the active logins of a user.
type UserLogins struct {
	Grants   int64 `json:"grants" doc:"Logins at clients"`
	Browsers int64 `json:"browsers" doc:"Browser sessions"`
}

// UserLoginsOut is the response with the number of logins.
type UserLoginsOut struct{ Body UserLogins }

// CountLogins counts the logins of a user that would end if the user were disabled or deleted.
func (a *API) CountLogins(ctx context.Context, in *UserIn) (*UserLoginsOut, error) {
	n, err := a.cfg.Admin.Logins(ctx, in.Username)
	if err != nil {
		return nil, err
	}
	return &UserLoginsOut{Body: UserLogins(n)}, nil
}

// CountAPILogins counts the logins that deleting an API would end.
func (a *API) CountAPILogins(ctx context.Context, in *APIIn) (*LoginsOut, error) {
	n, err := a.cfg.Admin.APILogins(ctx, in.Audience)
	if err != nil {
		return nil, err
	}
	out := &LoginsOut{}
	out.Body.Logins = n.Grants
	return out, nil
}
