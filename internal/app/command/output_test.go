package command

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestHalfAFileGoesAgain: what could not be written whole leaves no file that is
// taken for it, or that is in the way of the next try.
func TestHalfAFileGoesAgain(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "copy")
	broken := errors.New("the server went away")
	half := func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, broken)
	}
	if err := (&Terminal{}).output(name, half); !errors.Is(err, broken) {
		t.Error(err)
	}
	whole := func(w io.Writer) error {
		_, err := io.WriteString(w, "whole")
		return err
	}
	if err := (&Terminal{}).output(name, whole); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(name); string(b) != "whole" {
		t.Errorf("%q %v", b, err)
	}
	if err := (&Terminal{}).output(name, whole); err == nil {
		t.Error("a file that is there was written over")
	}
}
