package console

import (
	"net/http"
	"time"

	"github.com/hallpass-auth/hallpass/authserver/internal/adminapi"
)

// oldKey is the age of a signing key from which the console advises to replace it.
const oldKey = 90 * 24 * time.Hour

// listKeys serves GET /admin/keys.
func (c *Console) listKeys(v *visit) (page, error) {
	out, err := c.api.ListKeys(v.ctx(), &struct{}{})
	if p := adminapi.ProblemOf(err); err != nil && p.Status < http.StatusInternalServerError {
		return page{Title: "Keys", Sections: []section{{Text: []string{sentence(p.Detail)}}}}, nil
	}
	if err != nil {
		return page{}, err
	}
	t := &table{
		Caption: "Signing keys of this server", Columns: []string{"Key", "Algorithm", "For", "State", "Signs from",
			"Verifies until"},
		Empty: "There is no key.",
	}
	for _, k := range out.Body.Items {
		t.Rows = append(t.Rows, []cell{
			code(k.ID), text(k.Algorithm), text(keyPurpose(k)), text(k.State), orAlways(k.SignsFrom), orOpen(k.VerifiesUntil),
		})
	}
	s := section{
		Text: []string{"A new key signs only after everybody who verifies tokens has had time to fetch it; the old one " +
			"verifies until its last token has expired. So a rotation logs nobody out."},
		Links: []link{to(keysPath+"/rotate", "Rotate a key")},
		Table: t,
	}
	s.Warning = keyWarning(out.Body.Items, c.cfg.Now())
	return page{Title: "Keys", Done: done(v), Sections: []section{s}}, nil
}

// keyPurpose says what a key is for.
func keyPurpose(k adminapi.Key) string {
	switch {
	case k.IDTokens:
		return "ID tokens"
	case k.Audience != "":
		return k.Audience
	}
	return "access tokens"
}

func orAlways(t *time.Time) cell {
	if t == nil {
		return cell{Text: "always", Soft: true}
	}
	return at(*t)
}

func orOpen(t *time.Time) cell {
	if t == nil {
		return cell{Text: "it is replaced", Soft: true}
	}
	return at(*t)
}

// keyWarning says that keys should be replaced; empty if none should.
func keyWarning(keys []adminapi.Key, now time.Time) string {
	for _, k := range keys {
		if k.State == "signing" && k.VerifiesUntil == nil && k.SignsFrom != nil && now.Sub(*k.SignsFrom) > oldKey {
			return "A key for " + keyPurpose(k) + " has been signing since " + day(*k.SignsFrom) + ". Rotate it."
		}
	}
	return ""
}

// The keys that can be rotated.
const (
	rotateAccess = "access"
	rotateID     = "id"
)

// keysTag changes with the keys. With it, a form that is sent twice rotates once. It is empty if the keys cannot be
// listed.
func (c *Console) keysTag(v *visit) (string, error) {
	out, err := c.api.ListKeys(v.ctx(), &struct{}{})
	if err != nil {
		if adminapi.ProblemOf(err).Status < http.StatusInternalServerError {
			err = nil
		}
		return "", err
	}
	var ids []string
	for _, k := range out.Body.Items {
		ids = append(ids, k.ID)
	}
	return adminapi.ETag(ids), nil
}

// showRotate serves GET /admin/keys/rotate.
func (c *Console) showRotate(v *visit) (page, error) {
	seen, err := c.keysTag(v)
	if err != nil {
		return page{}, err
	}
	return page{Title: "Rotate a key", Trail: []link{to(keysPath, "Keys")}, Sections: []section{{
		Text: []string{"The new key is added now and signs later, when everybody has it. Nobody is logged out, unless " +
			"the key is compromised."},
		Form: &form{
			Fields: []*field{
				hidden("seen", seen),
				{Kind: kindChoice, Name: "what", Label: "Which key", Value: rotateAccess, Options: []option{
					{rotateAccess, "The key of access tokens"}, {rotateID, "The key of ID tokens"},
				}},
				check("compromised", "The old key is compromised",
					"The new key signs at once, and all tokens of the old one are refused. With the key of access tokens, all "+
						"keys are replaced.", false),
			},
			Button: "Rotate", Bad: true, Back: to(keysPath, "Cancel"),
		},
	}}}, nil
}

// rotateKey serves POST /admin/keys/rotate. If this server cannot, the page has the command to run.
func (c *Console) rotateKey(v *visit) (page, error) {
	seen, err := c.keysTag(v)
	if err != nil {
		return page{}, err
	}
	if seen != v.form.Get("seen") {
		return page{}, &refusal{http.StatusPreconditionFailed, "The keys have changed",
			"The keys were changed after you opened this page. Look at them, and send the form again if you still want to."}
	}
	in := adminapi.RotateKeysIn{}
	in.Body.IDTokens, in.Body.Compromised = v.form.Get("what") == rotateID, v.checked("compromised")
	_, err = c.api.RotateKeys(v.ctx(), &in)
	return goTo(address(keysPath, "done", "rotated")), err
}
