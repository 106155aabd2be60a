package mail

// SampleSubject returns the subject of a mail in a language, with sample values.
func (t *Templates) SampleSubject(language string, kind Kind) (string, error) {
	m, err := render(t.texts[language][kind], "ada@example.com", sample)
	return m.Subject, err
}
