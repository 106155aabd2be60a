package theme

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// palette has colors as #rrggbb by name.
type palette map[string]string

// schemes are the two sets of colors: browsers choose by the user's preference.
var schemes = []string{"light", "dark"}

// properties are the CSS custom properties of the colors that a theme can set, by their names in theme.json.
var properties = map[string]string{
	"background": "--back",
	"card":       "--card",
	"text":       "--text",
	"secondary":  "--soft",
	"border":     "--line",
	"accent":     "--main",
	"on_accent":  "--on-main",
}

// Fixed colors, which have a meaning. A theme cannot set them.
const (
	errorColor        = "error"
	warningBackground = "warning background"
)

// BuiltInColors are the colors of the style sheet by scheme and name, including those that a theme cannot set.
var BuiltInColors = map[string]map[string]string{
	"light": {
		"background": "#f3f4f6", "card": "#ffffff", "text": "#17202a", "secondary": "#586474", "border": "#838e9d",
		"accent": "#1f5fae", "on_accent": "#ffffff", errorColor: "#a8231c", warningBackground: "#fff8e8",
	},
	"dark": {
		"background": "#101318", "card": "#1a1f27", "text": "#e8ecf1", "secondary": "#9aa6b5", "border": "#78859a",
		"accent": "#7fb3ff", "on_accent": "#0c1624", errorColor: "#ff9a92", warningBackground: "#2d2617",
	},
}

// Contrast that WCAG 2.2 level AA asks for: of text (1.4.3), and of the edges of fields (1.4.11).
const (
	minTextContrast = 4.5
	minEdgeContrast = 3
)

// pairs are the colors that lie next to each other on pages.
var pairs = []struct {
	front, behind string
	minimum       float64
}{
	{"text", "card", minTextContrast},
	{"text", warningBackground, minTextContrast},
	{"secondary", "card", minTextContrast},
	{"accent", "card", minTextContrast},
	{"on_accent", "accent", minTextContrast},
	{errorColor, "card", minTextContrast},
	{"border", "card", minEdgeContrast},
}

// colorPattern matches a color.
var colorPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// checkColors returns what is wrong with the colors of a theme: an unknown name, a text that is no color, or colors
// with too little contrast for people with low vision.
func checkColors(colors map[string]palette) error {
	for _, scheme := range slices.Sorted(maps.Keys(colors)) {
		if !slices.Contains(schemes, scheme) {
			return fmt.Errorf("colors: there is no %q, only %s", scheme, strings.Join(schemes, " and "))
		}
		for _, name := range slices.Sorted(maps.Keys(colors[scheme])) {
			if properties[name] == "" {
				return fmt.Errorf("colors.%s: there is no %q, only %s", scheme, name,
					strings.Join(slices.Sorted(maps.Keys(properties)), ", "))
			}
			if color := colors[scheme][name]; !colorPattern.MatchString(color) {
				return fmt.Errorf("colors.%s.%s: %.20q must be a color such as #1f5fae", scheme, name, color)
			}
		}
		if err := checkContrast(colors[scheme], BuiltInColors[scheme]); err != nil {
			return fmt.Errorf("colors.%s: %w", scheme, err)
		}
	}
	return nil
}

// checkContrast returns which colors of a scheme have too little contrast. Those that the theme does not set are
// built in.
func checkContrast(set, builtIn palette) error {
	all := maps.Clone(builtIn)
	maps.Copy(all, set)
	var errs []error
	for _, p := range pairs {
		if found := contrast(all[p.front], all[p.behind]); found < p.minimum {
			errs = append(errs, fmt.Errorf("%s %s on %s %s has a contrast of %.2f, and needs %g (WCAG 2.2 level AA)",
				p.front, all[p.front], p.behind, all[p.behind], math.Floor(found*100)/100, p.minimum))
		}
	}
	return errors.Join(errs...)
}

// contrast returns the contrast ratio of two colors, 1 to 21 (WCAG 2.2, contrast ratio).
func contrast(a, b string) float64 {
	first, second := luminance(a), luminance(b)
	return (max(first, second) + .05) / (min(first, second) + .05)
}

// luminance returns the relative luminance of a color, 0 to 1 (WCAG 2.2, relative luminance).
func luminance(color string) float64 {
	sum := 0.
	for i, weight := range []float64{.2126, .7152, .0722} {
		value, err := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8)
		if err != nil {
			panic(err) // colorPattern has matched it
		}
		c := float64(value) / 255
		if c <= .04045 {
			sum += weight * c / 12.92
			continue
		}
		sum += weight * math.Pow((c+.055)/1.055, 2.4)
	}
	return sum
}

// StyleSheet returns the rules that set the colors of the theme, to follow those of the built-in style sheet; empty if
// it sets none.
func (t *Theme) StyleSheet() string {
	var rules strings.Builder
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		light, dark := t.colors["light"][name], t.colors["dark"][name]
		if light == "" && dark == "" {
			continue
		}
		if light == "" {
			light = BuiltInColors["light"][name]
		}
		if dark == "" {
			dark = BuiltInColors["dark"][name]
		}
		fmt.Fprintf(&rules, "  %s: light-dark(%s, %s);\n", properties[name], light, dark)
	}
	if rules.Len() == 0 {
		return ""
	}
	return "\n:root {\n" + rules.String() + "}\n"
}
