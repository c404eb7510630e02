// Package plain reads YAML that people write: one document without anchors,
// aliases and tags, which settings need no more than an attacker does. It
// promises that hostile text is an error with its line and never a panic, and
// that a name which nothing knows is an error. What the values mean is left to
// those who decode them.
package plain

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Parse gives the syntax tree of the one document, nil where there is none.
func Parse(b []byte) (doc *ast.DocumentNode, err error) {
	defer caught(&err)
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, Formatted(err)
	}
	if len(file.Docs) > 1 {
		return nil, errors.New("there are several documents in the file; keep one")
	}
	for _, doc := range file.Docs {
		w := &visitor{}
		ast.Walk(w, doc)
		return doc, w.found
	}
	return nil, nil
}

// Decode reads the document into a value, which keeps what the text does not
// name. Options are the library's.
func Decode(b []byte, into any, options ...yaml.DecodeOption) (err error) {
	defer caught(&err)
	if _, err := Parse(b); err != nil {
		return err
	}
	if strings.TrimSpace(string(b)) == "" {
		return nil
	}
	options = append([]yaml.DecodeOption{yaml.Strict(), yaml.DisallowUnknownField()}, options...)
	err = yaml.NewDecoder(strings.NewReader(string(b)), options...).Decode(into)
	if err != nil && err.Error() != "EOF" { // nothing but comments
		return Formatted(err)
	}
	return nil
}

// caught turns a panic of the library, which some malformed text makes, into an
// error. Nothing of ours runs below it but the readers of single values.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("this is no YAML that can be read: %v", p)
	}
}

// Formatted shows a mistake with the lines around it.
func Formatted(err error) error {
	return errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
}

// At is a mistake at a node.
func At(n ast.Node, text string) error {
	return &yaml.SyntaxError{Message: text, Token: n.GetToken()}
}

// visitor finds what is not plain.
type visitor struct{ found error }

// Visit implements ast.Visitor.
func (w *visitor) Visit(n ast.Node) ast.Visitor {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		if w.found == nil {
			w.found = Formatted(At(n, "anchors, aliases and tags are not taken here; write the value out"))
		}
	}
	return w
}
