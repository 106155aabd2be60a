package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// importedUsers is how many users the part import brings along.
const importedUsers = 100_000

// measureImport measures how long an import takes, on both engines, into a new database each time.
func measureImport(ctx context.Context, b *bench) ([]row, error) {
	path := filepath.Join(b.dir, "users.csv")
	if err := writeUsers(path, importedUsers); err != nil {
		return nil, err
	}
	return b.onEngines("import", func(e engine) ([]row, error) {
		if _, err := b.run(ctx, authserver, "migrate", "--database-url", e.database); err != nil {
			return nil, err
		}
		begin := time.Now()
		if _, err := b.run(ctx, authserver, "user", "import", path, "--database-url", e.database); err != nil {
			return nil, err
		}
		took := time.Since(begin).Seconds()
		what := fmt.Sprintf("import of %d users, %s", importedUsers, e.name)
		return []row{only(what, "%.1f s", []float64{took}, under(60, "s"))}, nil
	})
}

// writeUsers writes a CSV file of users with verified addresses and bcrypt hashes.
func writeUsers(path string, count int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	fmt.Fprintln(w, "username,name,email,email_verified,groups,password_hash,id")
	for i := range count {
		fmt.Fprintf(w, "user%07d,User %d,user%07d@example.com,true,staff,%s,%d\n", i, i, i,
			"$2b$10$abcdefghijklmnopqrstuuQTcV9kCwwwv.Fh5SAxuTf4up4QkyRqC", i)
	}
	return w.Flush()
}
