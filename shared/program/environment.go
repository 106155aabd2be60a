package program

import (
	"context"
	"log/slog"
	"strings"

	"github.com/alecthomas/kong"
)

// maxDistance is the edit distance up to which a variable counts as a misspelled setting.
// The names of settings differ by more.
const maxDistance = 2

// Misspelling is an environment variable that is not a setting, and the setting whose name
// is nearest to it.
type Misspelling struct{ Variable, Setting string }

// Misspellings are passed to every command that takes them, to log them with Warn. They are not
// errors: the variable may belong to another program.
type Misspellings []Misspelling

// Warn logs each misspelling at level WARN, without the variable's value.
func (m Misspellings) Warn(ctx context.Context, log *slog.Logger) {
	for _, found := range m {
		log.WarnContext(ctx, "unknown environment variable: is it misspelt?",
			"variable", found.Variable, "setting", found.Setting)
	}
}

// misspellings compares the environment with the settings of node and of its commands.
func misspellings(environment []string, node *kong.Node) Misspellings {
	var settings []string
	for _, flag := range allFlags(node) {
		settings = append(settings, flag.Envs...)
	}
	var found Misspellings
	for _, entry := range environment {
		variable, _, _ := strings.Cut(entry, "=")
		nearest, distance := "", maxDistance+1
		for _, setting := range settings {
			if d := editDistance(variable, setting); d < distance {
				nearest, distance = setting, d
			}
		}
		if 0 < distance && distance <= maxDistance {
			found = append(found, Misspelling{variable, nearest})
		}
	}
	return found
}

// editDistance returns the Levenshtein distance of a and b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1) // distances of a prefix of a to each prefix of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
