package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/shared/httpserver"

	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// form is a form, which is sent to the address of its page unless it has an Action.
type form struct {
	Action string
	Fields []*field
	Button string
	Bad    bool // the button destroys something
	Back   link // to the page that the administrator came from; may be empty

	Problem string // why the form was refused
}

// The kinds of fields.
const (
	kindText     = "text"
	kindEmail    = "email"
	kindPassword = "password"
	kindLines    = "lines"
	kindCheck    = "check"
	kindChoice   = "choice"
	kindHidden   = "hidden"
	kindDate     = "date"
)

// field is a field of a form.
type field struct {
	Kind     string
	Name     string
	Label    string
	Hint     string
	Value    string
	Checked  bool     // of a check box
	Options  []option // of a choice
	Required bool
	Max      int // bytes; 0 means that the browser does not check it
	// Complete is what the browser may fill in (autocomplete); empty means nothing.
	Complete string

	// Named is how a record.NameError names this field; empty if no such error is about it.
	Named string
	// Faults are the other errors that are about this field, and can be about no other field of the form.
	Faults []error
	// Wrong says that the problem of the form is about this field.
	Wrong bool
}

// causes reports whether an error is about this field alone.
func (f *field) causes(err error) bool {
	var name *record.NameError
	if errors.As(err, &name) {
		return name.What == f.Named
	}
	return slices.ContainsFunc(f.Faults, func(fault error) bool { return errors.Is(err, fault) })
}

// DescribedBy returns the ids of the texts about the field; empty if there are none.
func (f *field) DescribedBy() string {
	var ids []string
	if f.Hint != "" {
		ids = append(ids, "h-"+f.Name)
	}
	if f.Wrong {
		ids = append(ids, "problem")
	}
	return strings.Join(ids, " ")
}

// option is an option of a choice.
type option struct{ Value, Text string }

// fill keeps in the form of the page what was typed, says why it was refused, and marks the field that the error is
// about, if it is about one. Secrets and hidden fields are not kept: the page has the present ones.
func (p *page) fill(typed url.Values, err error, problem string) {
	for i := range p.Sections {
		f := p.Sections[i].Form
		if f == nil {
			continue
		}
		f.Problem = problem
		for _, field := range f.Fields {
			field.Wrong = field.causes(err)
			switch field.Kind {
			case kindHidden, kindPassword:
			case kindCheck:
				field.Checked = typed.Get(field.Name) == field.Value
			default:
				field.Value = typed.Get(field.Name)
			}
		}
		return
	}
	p.Sections = append([]section{{Problem: problem}}, p.Sections...)
}

// refused reports whether the form of the page was refused.
func (p *page) refused() bool {
	return slices.ContainsFunc(p.Sections, func(s section) bool {
		return s.Problem != "" || s.Form != nil && s.Form.Problem != ""
	})
}

// maxForm bounds the body of a form, in bytes.
const maxForm = 64 << 10

// readForm returns the fields of a form. Each occurs once, in UTF-8 without NUL.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	httpserver.LimitBody(w, r, maxForm)
	unreadable := &refusal{http.StatusBadRequest, "This form could not be read", "Open the page again, and try again."}
	err := r.ParseForm()
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "This form is too long", "Go back, and send less text."}
	}
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || err != nil {
		return nil, unreadable
	}
	for name, values := range r.PostForm {
		if len(values) != 1 || !record.IsText(name) || !record.IsText(values[0]) {
			return nil, unreadable
		}
	}
	return r.PostForm, nil
}

// checked reports whether a check box of the form is set.
func (v *visit) checked(name string) bool { return v.form.Get(name) != "" }

// typed returns a field of the form without outer space.
func (v *visit) typed(name string) string { return strings.TrimSpace(v.form.Get(name)) }

// password returns the field for a password; nil if nothing was typed.
func (v *visit) password() *string {
	typed := v.form.Get("password")
	if typed == "" {
		return nil
	}
	return &typed
}

// words returns the words of a field. Commas and new lines separate them too.
func (v *visit) words(name string) []string {
	return strings.FieldsFunc(v.form.Get(name), func(r rune) bool {
		return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t'
	})
}

// check returns a check box.
func check(name, label, hint string, checked bool) *field {
	return &field{Kind: kindCheck, Name: name, Label: label, Hint: hint, Value: "yes", Checked: checked}
}

// hidden returns a hidden field.
func hidden(name, value string) *field { return &field{Kind: kindHidden, Name: name, Value: value} }
