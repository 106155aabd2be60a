package program

import (
	"context"
	"log/slog"
	"strings"

	"github.com/alecthomas/kong"
)

// maxSlips is how many letters of a variable may be wrong, missing or too many for it to
// be taken for a misspelling. Names of settings are further apart than that.
const maxSlips = 2

// Misspelling is an environment variable that is nothing to the program, and the setting
// that it was probably meant to be.
type Misspelling struct{ Variable, Setting string }

// Misspellings is what every command gets, for one that has a log to warn of them in.
// They are no errors: the environment may have been made for another program too.
type Misspellings []Misspelling

// Warn logs each of them, without the value.
func (m Misspellings) Warn(ctx context.Context, log *slog.Logger) {
	for _, found := range m {
		log.WarnContext(ctx, "this environment variable is no setting and is not read: is it misspelt?",
			"variable", found.Variable, "setting", found.Setting)
	}
}

// misspellings finds those in an environment, by the settings of node and of all commands
// under it.
func misspellings(environment []string, node *kong.Node) Misspellings {
	var known []string
	for _, flag := range allFlags(node) {
		known = append(known, flag.Envs...)
	}
	var found Misspellings
	for _, entry := range environment {
		variable, _, _ := strings.Cut(entry, "=")
		nearest, distance := "", maxSlips+1
		for _, setting := range known {
			if d := slips(variable, setting); d < distance {
				nearest, distance = setting, d
			}
		}
		if 0 < distance && distance <= maxSlips {
			found = append(found, Misspelling{variable, nearest})
		}
	}
	return found
}

// slips is how many letters must be changed, added or taken away to make b of a
// (the Levenshtein distance).
func slips(a, b string) int {
	row := make([]int, len(b)+1) // from the beginning of a to each beginning of b
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
