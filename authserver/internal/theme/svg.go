package theme

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Namespaces of an SVG file.
const (
	svgNamespace   = "http://www.w3.org/2000/svg"
	xlinkNamespace = "http://www.w3.org/1999/xlink"
)

// svgElements are the elements that a logo may have: shapes, text and paint. None of them runs scripts, changes
// attributes, has HTML or loads a file.
var svgElements = []string{
	"svg", "g", "defs", "symbol", "use", "title", "desc", "style",
	"path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan",
	"linearGradient", "radialGradient", "stop", "pattern", "clipPath", "mask", "marker",
	"filter", "feBlend", "feColorMatrix", "feComposite", "feFlood", "feGaussianBlur", "feMerge", "feMergeNode",
	"feOffset",
}

// maxDepth is how deep elements may be nested.
const maxDepth = 64

// svgCheck is what checkSVG has read so far.
type svgCheck struct {
	depth   int
	seen    bool
	inStyle bool
	style   strings.Builder // the text of the style element: comments may be inside
}

// checkSVG returns what is wrong with an SVG file: anything but the elements above, an attribute that handles events,
// or a reference to another file.
func checkSVG(content []byte) error {
	d := xml.NewDecoder(bytes.NewReader(content))
	var c svgCheck
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("it is not well-formed XML: %w", err)
		}
		if err := c.add(token); err != nil {
			return err
		}
	}
	if !c.seen {
		return errors.New("it is not an SVG file: it has no element")
	}
	return nil
}

// add returns what is wrong with the next part of the file.
func (c *svgCheck) add(token xml.Token) error {
	switch token := token.(type) {
	case xml.Directive:
		return errors.New("it has a DOCTYPE: remove it")
	case xml.ProcInst:
		return checkInstruction(token)
	case xml.StartElement:
		if c.inStyle {
			return errors.New("its <style> has an element: remove it")
		}
		c.depth++
		c.seen, c.inStyle = true, token.Name.Local == "style"
		return checkElement(token, c.depth)
	case xml.EndElement:
		c.depth--
		if c.inStyle {
			c.inStyle = false
			defer c.style.Reset()
			return checkCSS(c.style.String())
		}
	case xml.CharData:
		if c.inStyle {
			c.style.Write(token)
		}
	}
	return nil
}

// checkInstruction accepts only the XML declaration: xml-stylesheet would load another file.
func checkInstruction(p xml.ProcInst) error {
	if p.Target != "xml" {
		return fmt.Errorf("it has the instruction <?%s?>: remove it", p.Target)
	}
	return nil
}

// checkElement returns what is wrong with an element. The root is at depth 1.
func checkElement(e xml.StartElement, depth int) error {
	switch {
	case depth == 1 && e.Name.Local != "svg":
		return fmt.Errorf("it is not an SVG file: its root is <%s>", e.Name.Local)
	case e.Name.Space != svgNamespace || !slices.Contains(svgElements, e.Name.Local):
		return fmt.Errorf("it has the element <%s>, which a logo cannot have: "+
			"export it as plain or optimized SVG, with outlines and colors only", e.Name.Local)
	case depth > maxDepth:
		return fmt.Errorf("its elements are nested more than %d deep", maxDepth)
	}
	for _, a := range e.Attr {
		if err := checkAttribute(a); err != nil {
			return fmt.Errorf("<%s %s>: %w", e.Name.Local, a.Name.Local, err)
		}
	}
	return nil
}

// checkAttribute returns what is wrong with an attribute.
func checkAttribute(a xml.Attr) error {
	name := strings.ToLower(a.Name.Local)
	switch {
	case a.Name.Space == "xmlns" || a.Name.Space == "" && name == "xmlns":
		return nil
	case strings.HasPrefix(name, "on"):
		return errors.New("it handles events, as a script does: remove it")
	case name == "href" || name == "src" || a.Name.Space == xlinkNamespace:
		if name == "href" && !strings.HasPrefix(strings.TrimSpace(a.Value), "#") {
			return errors.New("it refers to something outside the file: remove it")
		}
		if name == "src" {
			return errors.New("it refers to another file: remove it")
		}
		return nil
	case name == "base":
		return errors.New("it changes where references lead: remove it")
	}
	return checkCSS(a.Value)
}

// cssReference matches what makes CSS load or run something: functions and rules with an address.
var cssReference = regexp.MustCompile(`(?i)url\s*\(\s*["']?\s*([^"'\s])|image(?:-set)?\s*\(|src\s*\(|` +
	`@import|@font-face|expression\s*\(|javascript:|-moz-binding`)

// checkCSS returns what is wrong with CSS in a style element or an attribute. A backslash could hide a name.
func checkCSS(text string) error {
	if strings.Contains(text, `\`) {
		return errors.New("its CSS has a backslash: write characters as they are")
	}
	for _, found := range cssReference.FindAllStringSubmatch(text, -1) {
		if found[1] != "#" {
			return fmt.Errorf("its CSS has %.40q, which refers to something outside the file: remove it", found[0])
		}
	}
	return nil
}
