package patch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/standard/osv"
)

// Parts are what this binary is made of: its modules, Go's own library, and the
// packages of the console that reach a browser.
func Parts(lock []byte) ([]osv.Package, error) {
	list := []osv.Package{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			list = append(list, osv.Package{Ecosystem: osv.Go, Name: m.Path, Version: strings.TrimPrefix(m.Version, "v")})
		}
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(runtime.Version(), "go"), " ")
	list = append(list, osv.Package{Ecosystem: osv.Go, Name: "stdlib", Version: version})
	console, err := locked(lock)
	if err != nil {
		return nil, err
	}
	list = append(list, console...)
	slices.SortFunc(list, func(a, b osv.Package) int { return strings.Compare(purl(a), purl(b)) })
	return slices.Compact(list), nil
}

// locked reads what an npm lock file (version 3) installs beside what only builds.
func locked(lock []byte) ([]osv.Package, error) {
	var file struct {
		Packages map[string]struct {
			Version string `json:"version"`
			Dev     bool   `json:"dev"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(lock, &file); err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	var list []osv.Package
	for path, p := range file.Packages {
		_, name, found := strings.Cut(path, "node_modules/")
		if i := strings.LastIndex(name, "node_modules/"); i >= 0 {
			name = name[i+len("node_modules/"):]
		}
		if found && !p.Dev && p.Version != "" {
			list = append(list, osv.Package{Ecosystem: osv.NPM, Name: name, Version: p.Version})
		}
	}
	return list, nil
}

// url0 is the package URL (github.com/package-url/purl-spec).
func purl(p osv.Package) string {
	kind := "golang"
	if p.Ecosystem == osv.NPM {
		kind = "npm"
	}
	var path []string
	for part := range strings.SplitSeq(p.Name, "/") {
		path = append(path, strings.ReplaceAll(url.PathEscape(part), "@", "%40"))
	}
	version := p.Version
	if p.Ecosystem == osv.Go && p.Name != "stdlib" {
		version = "v" + version
	}
	return "pkg:" + kind + "/" + strings.Join(path, "/") + "@" + url.PathEscape(version)
}

// names is the digest of which packages there are, whatever their versions.
func names(parts []osv.Package) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(string(p.Ecosystem) + " " + p.Name + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// BOM is a bill of materials in CycloneDX 1.5 (cyclonedx.org/docs/1.5/json).
type BOM struct {
	Format   string `json:"bomFormat"`
	Spec     string `json:"specVersion"`
	Version  int    `json:"version"`
	Metadata struct {
		Component Component `json:"component"`
	} `json:"metadata"`
	Components []Component `json:"components"`
}

// Component is one part of it.
type Component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl,omitempty"`
}

// Bill writes the parts of a version of this program as a bill of materials.
func Bill(version string, parts []osv.Package) BOM {
	b := BOM{Format: "CycloneDX", Spec: "1.5", Version: 1, Components: []Component{}}
	b.Metadata.Component = Component{Type: "application", Ref: "mailvow", Name: "mailvow", Version: version}
	for _, p := range parts {
		b.Components = append(b.Components, Component{Type: "library", Ref: purl(p), Name: p.Name, Version: p.Version, PURL: purl(p)})
	}
	return b
}
