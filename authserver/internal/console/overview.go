package console

// overview serves GET /admin.
func (c *Console) overview(v *visit) (page, error) {
	return page{Title: "Overview", Done: done(v)}, nil
}
