package theme

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"path/filepath"
)

// maxPixels is the maximum width and height of a PNG logo.
const maxPixels = 4096

// Logo is an image without scripts.
type Logo struct {
	// MediaType is its media type; empty if there is no logo.
	MediaType string
	// Content is the file.
	Content []byte
}

// mediaTypes are the media types of logos by their file names.
var mediaTypes = map[string]string{
	"logo.svg": "image/svg+xml", "logo.png": "image/png", "logo.webp": "image/webp",
}

// readLogo reads a logo and checks that it is what its name says.
func readLogo(path string) (Logo, error) {
	content, err := read(path, maxLogo)
	if err != nil {
		return Logo{}, err
	}
	logo := Logo{MediaType: mediaTypes[filepath.Base(path)], Content: content}
	switch filepath.Ext(path) {
	case ".svg":
		err = checkSVG(content)
	case ".png":
		err = checkPNG(content)
	case ".webp":
		err = checkWebP(content)
	}
	return logo, err
}

// checkPNG returns what is wrong with a PNG file.
func checkPNG(content []byte) error {
	c, err := png.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("it is not a PNG file: %w", err)
	}
	if c.Width > maxPixels || c.Height > maxPixels {
		return fmt.Errorf("it has %d by %d pixels; the limit is %d", c.Width, c.Height, maxPixels)
	}
	return nil
}

// checkWebP returns what is wrong with a WebP file. It looks at the header only (RFC 9649 section 2.4): browsers
// decode the rest, and are told not to take it for anything else.
func checkWebP(content []byte) error {
	if len(content) < 16 || string(content[:4]) != "RIFF" || string(content[8:15]) != "WEBPVP8" {
		return errors.New("it is not a WebP file")
	}
	return nil
}
