package configfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxFiles is how many files a folder may have.
const maxFiles = 10_000

// Load reads files and folders and returns their content together. Of a folder, it reads the files whose names end in
// .yaml or .yml, but no subfolders; the path "-" is stdin. It returns ErrBad for what is not valid, such as a client
// that is described twice.
func Load(paths []string, stdin io.Reader) (Config, error) {
	var all Config
	for _, path := range paths {
		files, err := filesOf(path)
		if err != nil {
			return Config{}, err
		}
		for _, file := range files {
			c, err := load(file, stdin)
			if err != nil {
				return Config{}, err
			}
			all = all.with(c)
		}
	}
	return all, all.check()
}

// load reads and parses a file.
func load(path string, stdin io.Reader) (Config, error) {
	var data []byte
	var err error
	if path == "-" {
		data, err = io.ReadAll(io.LimitReader(stdin, MaxBytes+1))
	} else {
		data, err = readFile(path)
	}
	if err != nil {
		return Config{}, err
	}
	return Parse(path, data)
}

// filesOf returns the files of a path.
func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if path == "-" || err == nil && !info.IsDir() {
		return []string{path}, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path) // sorted
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if ending := filepath.Ext(e.Name()); !e.IsDir() && (ending == ".yaml" || ending == ".yml") {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	switch {
	case len(files) == 0:
		return nil, position{file: path}.errorf("the folder has no files whose names end in .yaml or .yml")
	case len(files) > maxFiles:
		return nil, position{file: path}.errorf("the folder has more than %d files", maxFiles)
	}
	return files, nil
}

// readFile reads a file, but no more of it than shows that it is too large.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, MaxBytes+1))
}

// Files are the environment of the process and the files of the machine. A file has at most MaxBytes.
var Files = Sources{
	Env:  os.LookupEnv,
	File: readNamed,
}

// readNamed reads a file that another file names.
func readNamed(path string) ([]byte, error) {
	data, err := readFile(path)
	if err == nil && len(data) > MaxBytes {
		err = fmt.Errorf("%s is larger than %d bytes", path, MaxBytes)
	}
	return data, err
}
