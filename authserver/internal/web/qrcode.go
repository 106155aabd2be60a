package web

import (
	"fmt"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"
)

// quietZone is the margin of a QR code, in modules (ISO/IEC 18004 section 6.3.8).
const quietZone = 4

// qrCode is a QR code as a page draws it: an SVG path in a square.
type qrCode struct {
	// Size is the length of a side in modules, with the margin.
	Size int
	// Path has a square for each dark module.
	Path string
}

// newQRCode returns the QR code of a text. The error says that it is too long.
func newQRCode(text string) (qrCode, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return qrCode{}, fmt.Errorf("drawing a QR code: %w", err)
	}
	return drawn(code), nil
}

func drawn(code barcode.Barcode) qrCode {
	bounds := code.Bounds()
	var path strings.Builder
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			if r, _, _, _ := code.At(x, y).RGBA(); r == 0 {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x-bounds.Min.X+quietZone, y-bounds.Min.Y+quietZone)
			}
		}
	}
	return qrCode{Size: bounds.Dx() + 2*quietZone, Path: path.String()}
}
