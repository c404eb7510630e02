package internal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestArchitectureNamesEveryPackage keeps ARCHITECTURE.md true: each package of
// floors.txt has its line there, and every file that a document links to exists.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range readFloors(t) {
		if !strings.Contains(string(text), "- `"+pkg+"` ") && !strings.HasPrefix(pkg, "lab") {
			t.Errorf("ARCHITECTURE.md has no line for %s: say in a few words what it is for", pkg)
		}
	}
}

// TestLinks follows the relative links of the documents.
func TestLinks(t *testing.T) {
	t.Parallel()
	var documents []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, found...)
	}
	if len(documents) < 3 {
		t.Fatalf("only %d documents", len(documents))
	}
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links(string(text)) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), link)); err != nil {
				t.Errorf("%s links to %s, which is not there", document, link)
			}
		}
	}
}

// links gives the targets of [text](target) that are files.
func links(text string) (all []string) {
	for _, part := range strings.Split(text, "](")[1:] {
		target, _, ok := strings.Cut(part, ")")
		target, _, _ = strings.Cut(target, "#")
		if ok && target != "" && !strings.Contains(target, ":") && !strings.ContainsAny(target, " \n") {
			all = append(all, target)
		}
	}
	return all
}
