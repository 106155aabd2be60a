package console

import "context"

// confirmation is a page that asks before something is done, and what is done then.
type confirmation struct {
	title  string // of the page, as a question or an instruction
	trail  []link
	says   []string // what it does, and what it ends
	warns  string   // that it cannot be undone, or something of the kind
	fields []*field
	button string
	bad    bool // it destroys something
	back   string
	next   string // where the browser goes after it
	// do does it.
	do func(ctx context.Context, v *visit) error
}

// confirm returns the page that says what will be done, and does it when its form is sent.
func confirm(about func(*visit) (confirmation, error)) route {
	return route{
		show: func(v *visit) (page, error) {
			d, err := about(v)
			if err != nil {
				return page{}, err
			}
			return page{Title: d.title, Trail: d.trail, Sections: []section{{
				Text: d.says, Warning: d.warns,
				Form: &form{Fields: d.fields, Button: d.button, Bad: d.bad, Back: to(d.back, "Cancel")},
			}}}, nil
		},
		save: func(v *visit) (page, error) {
			d, err := about(v)
			if err == nil {
				err = d.do(v.ctx(), v)
			}
			if err != nil {
				return page{}, err
			}
			return goTo(d.next), nil
		},
	}
}
