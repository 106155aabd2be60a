package catalog_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"
)

// use is a place where a text is said.
type use struct {
	key, place string
	args       int
}

// uses returns the texts of all packages of the server and of the pages.
func uses(t *testing.T) []use {
	t.Helper()
	var found []use
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && filepath.Dir(path) != "../catalog":
			found = append(found, inGo(t, path)...)
		case strings.HasPrefix(path, "../web/pages/") && strings.HasSuffix(path, ".html") && d.Name() != "inbox.html":
			found = append(found, inPage(t, path)...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// inGo returns the arguments of say and catalog.Say in a file.
func inGo(t *testing.T, path string) (found []use) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	passesOn := map[token.Pos]bool{} // calls in functions named say and t, which pass their key on
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && (f.Name.Name == "say" || f.Name.Name == "t") {
			ast.Inspect(f, func(n ast.Node) bool {
				if n != nil {
					passesOn[n.Pos()] = true
				}
				return true
			})
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || passesOn[call.Pos()] || !says(call.Fun) || len(call.Args) == 0 {
			return true
		}
		place := files.Position(call.Pos()).String()
		key, ok := constant(call.Args[0])
		if !ok {
			t.Errorf("%s: the text is not a constant", place)
		}
		found = append(found, use{key, place, len(call.Args) - 1})
		return true
	})
	return found
}

// says reports whether a function is say, catalog.Say or the t of a printer.
func says(f ast.Expr) bool {
	switch f := f.(type) {
	case *ast.Ident:
		return f.Name == "say"
	case *ast.SelectorExpr:
		x, ok := f.X.(*ast.Ident)
		return ok && (x.Name == "catalog" && f.Sel.Name == "Say" || x.Name == "p" && f.Sel.Name == "t")
	}
	return false
}

// constant returns the value of a text in quotes, or of several that are added.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := constant(e.X)
		right, too := constant(e.Y)
		return left + right, ok && too && e.Op == token.ADD
	}
	return "", false
}

// inPage returns the arguments of t in a page. It reports text that is written into the page.
func inPage(t *testing.T, path string) (found []use) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tree := parse.New(path)
	tree.Mode = parse.SkipFuncCheck
	trees := map[string]*parse.Tree{}
	if _, err := tree.Parse(string(content), "", "", trees); err != nil {
		t.Fatal(err)
	}
	var plain strings.Builder // the page without what is in braces
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		walk(trees[name].Root, &plain, func(c *parse.CommandNode) {
			key, ok := c.Args[1].(*parse.StringNode)
			if !ok {
				t.Errorf("%s: the text of t is not a constant: %s", path, c)
				return
			}
			found = append(found, use{key.Text, path, len(c.Args) - 2})
		})
	}
	if written := writtenText(plain.String()); written != "" {
		t.Errorf("%s has text without t: %q", path, written)
	}
	return found
}

// walk calls said for each command that calls t, and collects the text around the commands.
func walk(n parse.Node, plain *strings.Builder, said func(*parse.CommandNode)) {
	branch := func(b parse.BranchNode) {
		walk(b.Pipe, plain, said)
		walk(b.List, plain, said)
		if b.ElseList != nil {
			walk(b.ElseList, plain, said)
		}
	}
	switch n := n.(type) {
	case *parse.TextNode:
		plain.Write(n.Text)
	case *parse.ListNode:
		for _, node := range n.Nodes {
			walk(node, plain, said)
		}
	case *parse.IfNode:
		branch(n.BranchNode)
	case *parse.RangeNode:
		branch(n.BranchNode)
	case *parse.WithNode:
		branch(n.BranchNode)
	case *parse.ActionNode:
		walk(n.Pipe, plain, said)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			walk(c, plain, said)
		}
	case *parse.CommandNode:
		if f, ok := n.Args[0].(*parse.IdentifierNode); ok && f.Ident == "t" && len(n.Args) > 1 {
			said(n)
		}
		for _, arg := range n.Args {
			walk(arg, plain, said)
		}
	}
}

// writtenText returns the words between the tags of a page, and in attributes that people see or hear.
func writtenText(page string) string {
	var words []string
	for page != "" {
		text, rest, _ := strings.Cut(page, "<")
		words = append(words, text)
		var tag string
		tag, page, _ = strings.Cut(rest, ">")
		for _, name := range []string{"aria-label", "alt", "title", "placeholder"} {
			if _, value, ok := strings.Cut(tag, name+`="`); ok {
				value, _, _ = strings.Cut(value, `"`)
				words = append(words, value)
			}
		}
	}
	isWord := func(w string) bool { return strings.ContainsFunc(w, func(r rune) bool { return r > '@' }) }
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return !isWord(w) }), " ")
}
