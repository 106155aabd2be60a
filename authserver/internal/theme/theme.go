// Package theme loads the look of the pages from one folder: the name of the service, a logo, colors and texts.
//
// The folder is trusted to say what people read, and not to run anything in their browsers: a logo cannot have scripts,
// a color is a number, and texts have no markup.
package theme

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hallpass-auth/hallpass/authserver/internal/catalog"
	"github.com/hallpass-auth/hallpass/authserver/internal/record"
)

// settingsFile has the name and the colors.
const settingsFile = "theme.json"

// Limits of the files in a folder.
const (
	maxSettings = 16 << 10  // bytes
	maxLogo     = 256 << 10 // bytes
	maxName     = 64        // bytes
)

// Theme is how pages look, and what they say. It cannot be changed, so it is safe for concurrent use.
type Theme struct {
	// Name is the name of the service; empty for none.
	Name string
	// Logo is the zero Logo if the folder has none.
	Logo Logo
	// Texts are the texts of the pages.
	Texts  *catalog.Catalog
	colors map[string]palette // those that differ from the built-in ones, by scheme
}

// BuiltIn returns the built-in theme.
func BuiltIn() *Theme { return &Theme{Texts: catalog.BuiltIn()} }

// settings is the content of theme.json.
type settings struct {
	Name   string             `json:"name"`
	Colors map[string]palette `json:"colors"`
}

// Load reads the theme in a folder: theme.json, logo.svg, logo.png or logo.webp, and texts as LANGUAGE.json. What is
// missing is built in; an empty name means the built-in theme. Names that begin with a dot are ignored, and all others
// are refused. The error names the file and what is wrong with it.
func Load(folder string) (*Theme, error) {
	t := BuiltIn()
	if folder == "" {
		return t, nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if err := t.add(path); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if t.Logo.MediaType != "" && t.Name == "" {
		return nil, fmt.Errorf("%s: a logo needs the name of the service, for people who do not see it",
			filepath.Join(folder, settingsFile))
	}
	return t, nil
}

// add reads a file.
func (t *Theme) add(path string) (err error) {
	file := filepath.Base(path)
	language, isJSON := strings.CutSuffix(file, ".json")
	switch {
	case file == settingsFile:
		err = t.addSettings(path)
	case isJSON && slices.Contains(catalog.Languages, language):
		var texts []byte
		if texts, err = read(path, catalog.MaxFile); err == nil {
			t.Texts, err = t.Texts.With(language, texts)
		}
	case mediaTypes[file] != "" && t.Logo.MediaType != "":
		err = errors.New("there is another logo: keep one of them")
	case mediaTypes[file] != "":
		t.Logo, err = readLogo(path)
	default:
		err = fmt.Errorf("no such file is known: a theme has %s, logo.svg, logo.png or logo.webp, and texts in %s.json",
			settingsFile, strings.Join(catalog.Languages, ".json, "))
	}
	return err
}

// addSettings reads theme.json.
func (t *Theme) addSettings(path string) error {
	text, err := read(path, maxSettings)
	if err != nil {
		return err
	}
	var s settings
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	if s.Name != "" {
		if err := record.CheckName("name", s.Name, maxName); err != nil {
			return err
		}
	}
	t.Name, t.colors = s.Name, s.Colors
	return checkColors(s.Colors)
}

// read returns the content of a regular file of at most maximum bytes.
func read(path string, maximum int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maximum {
		return nil, fmt.Errorf("it must be a file of at most %d bytes", maximum)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func(file fs.File) { _ = file.Close() }(file)
	content, err := io.ReadAll(io.LimitReader(file, maximum+1))
	if err == nil && int64(len(content)) > maximum { // it has grown
		err = fmt.Errorf("it must be a file of at most %d bytes", maximum)
	}
	return content, err
}
