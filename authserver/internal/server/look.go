package server

import (
	"fmt"

	"github.com/hallpass-auth/hallpass/authserver/internal/theme"
	"github.com/hallpass-auth/hallpass/authserver/internal/web"
)

// Look is the settings of what people see.
type Look struct {
	Language string `group:"Pages" env:"HALLPASS_LANGUAGE" enum:"en,ko,de,es" default:"en" help:"Language of pages and emails for people whose own is not known, or is not one of en, ko, de and es (${default})."`
	ThemeDir string `group:"Pages" env:"HALLPASS_THEME_DIR" placeholder:"DIR" help:"Folder with the name of the service, a logo, colors and texts for the pages."`
}

// theme returns the theme. The error names the setting.
func (l Look) theme() (*theme.Theme, error) {
	t, err := theme.Load(l.ThemeDir)
	if err != nil {
		return nil, fmt.Errorf("--theme-dir (HALLPASS_THEME_DIR): %w", err)
	}
	return t, nil
}

// setLook sets the language and the theme of the pages.
func (s *Settings) setLook(cfg *web.Config) (err error) {
	cfg.Language = s.Look.Language
	cfg.Theme, err = s.Look.theme()
	return err
}
