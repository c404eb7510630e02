package inventory

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/pledge"
)

// Mount says under which declared name a folder of the data folder lies: the key
// store in dev mode is the folder keystore, declared as keys.
type Mount struct {
	Folder string // relative to the data folder, with slashes; "" is the data folder itself
	As     string // the first part of the declared names; "" for none
}

// Files lists every file under a data folder, with slashes, relative to it.
func Files(data fs.FS) ([]string, error) {
	var list []string
	err := fs.WalkDir(data, ".", func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && name != "." {
			return nil // it went meanwhile
		}
		if err == nil && !e.IsDir() {
			list = append(list, name)
		}
		return err
	})
	return list, fault.Wrap(err, "list the data folder")
}

// UndeclaredFiles are the files that lie in no declared file, folder, key or log.
// The mount with the longest fitting folder counts.
func (i *Inventory) UndeclaredFiles(mounts []Mount, files []string) []string {
	var list []string
	for _, file := range files {
		if !i.holds(declaredName(mounts, file)) {
			list = append(list, file)
		}
	}
	return list
}

func declaredName(mounts []Mount, file string) string {
	best := Mount{}
	for _, m := range mounts {
		if within(m.Folder, file) && len(m.Folder) >= len(best.Folder) {
			best = m
		}
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(file, best.Folder), "/")
	return path.Join(best.As, rest)
}

func within(folder, file string) bool {
	return folder == "" || file == folder || strings.HasPrefix(file, folder+"/")
}

func (i *Inventory) holds(name string) bool {
	for p := range i.places {
		switch p.kind {
		case pledge.DiskFile, pledge.KeyFile, pledge.LogFile:
			if covers(strings.Split(p.name, "/"), strings.Split(name, "/")) {
				return true
			}
		case pledge.Column, pledge.BlobKind, pledge.Memory:
		}
	}
	return false
}

// covers reports whether a declared name is the file's or that of a folder above
// it. NNNN stands for any number.
func covers(declared, file []string) bool {
	if len(declared) > len(file) {
		return false
	}
	for n, part := range declared {
		if !samePart(part, file[n]) {
			return false
		}
	}
	return true
}

func samePart(declared, real string) bool {
	head, tail, pattern := strings.Cut(declared, "NNNN")
	if !pattern {
		return declared == real
	}
	middle, ok := strings.CutPrefix(real, head)
	if !ok {
		return false
	}
	if middle, ok = strings.CutSuffix(middle, tail); !ok || middle == "" {
		return false
	}
	return strings.Trim(middle, "0123456789abcdef") == ""
}
