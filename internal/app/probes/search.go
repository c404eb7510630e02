package probes

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailvow/internal/base/fault"
)

// needles are the forms under which a text could stand in the clear: as it is,
// in quoted-printable, in hexadecimal, and in base64 at each of three offsets,
// without the letters at the ends that depend on their neighbours.
func needles(words ...string) map[string][]byte {
	out := map[string][]byte{}
	for i, w := range words {
		name := func(form string) string { return fmt.Sprintf("text %d %s", i+1, form) }
		out[name("raw")] = []byte(w)
		out[name("quoted-printable")] = []byte(w + "=C3=A9")
		out[name("hexadecimal")] = []byte(hex.EncodeToString([]byte(w)))
		for shift := range 3 {
			e := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), w...))
			from := (shift*8 + 5) / 6
			out[name(fmt.Sprintf("base64 at offset %d", shift))] = []byte(e[from : len(e)-2])
		}
	}
	return out
}

// cut cuts sealed bytes into pieces that a page's border cannot all hit.
func cut(name string, sealed []byte) map[string][]byte {
	const piece = 24
	out := map[string][]byte{}
	for at := 0; at+piece <= len(sealed) && len(out) < 400; at += 3 * piece {
		out[fmt.Sprintf("%s at %d", name, at)] = sealed[at : at+piece]
	}
	return out
}

// found says where needles were seen: place → needle.
type found map[string]string

// String names up to three places.
func (f found) String() string {
	var list []string
	for place, what := range f {
		if list = append(list, place+" ("+what+")"); len(list) == 3 {
			break
		}
	}
	return fmt.Sprintf("%d places, such as %s", len(f), strings.Join(list, ", "))
}

// search looks for needles in every file of the folders and, where the database
// keeps none there, in its tables. It says how many bytes it looked at.
func (s *Server) search(ctx context.Context, needles map[string][]byte) (found, int64, error) {
	seen, total := found{}, int64(0)
	for _, folder := range s.Folders {
		files, err := filesOf(folder)
		if err != nil {
			return seen, total, err
		}
		for _, path := range files {
			n, what, err := searchFile(ctx, path, needles)
			total += n
			if err != nil {
				return seen, total, fault.Wrap(err, "search the data folder")
			}
			if what != "" {
				name, _ := filepath.Rel(folder, path)
				seen[filepath.ToSlash(name)] = what
			}
		}
	}
	if s.Dump == nil {
		return seen, total, nil
	}
	err := s.Dump(ctx, func(name string, content []byte) error {
		total += int64(len(content))
		if what := in(content, needles); what != "" {
			seen["table "+name] = what
		}
		return nil
	})
	return seen, total, fault.Wrap(err, "search the database's tables")
}

// filesOf lists a folder's files, a database's log before the database: what a
// checkpoint moves while the search is under way is then seen in one of them.
func filesOf(folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err == nil && e.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	isLog := func(path string) bool { return strings.HasSuffix(path, "-wal") }
	slices.SortStableFunc(files, func(a, b string) int {
		switch {
		case isLog(a) == isLog(b):
			return 0
		case isLog(a):
			return -1
		}
		return 1
	})
	return files, fault.Wrap(err, "list the data folder")
}

// searchFile reads a file piece by piece; the pieces overlap by a needle.
func searchFile(ctx context.Context, path string, needles map[string][]byte) (int64, string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", fault.Wrap(err, "open a file")
	}
	defer f.Close()
	const piece, overlap = 1 << 20, 512
	buf := make([]byte, 0, piece+overlap)
	total := int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return total, "", fault.Because(fault.Unavailable, err, "")
		}
		n, err := io.ReadFull(f, buf[len(buf):len(buf)+piece])
		total += int64(n)
		buf = buf[:len(buf)+n]
		if what := in(buf, needles); what != "" {
			return total, what, nil
		}
		if err != nil {
			return total, "", ioEnd(err)
		}
		buf = append(buf[:0], buf[len(buf)-overlap:]...)
	}
}

func ioEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return fault.Wrap(err, "read a file")
}

func in(content []byte, needles map[string][]byte) string {
	for name, n := range needles {
		if bytes.Contains(content, n) {
			return name
		}
	}
	return ""
}
