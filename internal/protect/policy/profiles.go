package policy

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"mailvow/internal/base/fault"
)

//go:embed profiles/*.yaml
var profileFiles embed.FS

// Recommended is the profile that every other document stands on.
const Recommended = "recommended"

// Profile is a policy that is ready to be put in force.
type Profile struct {
	Name  string
	About string // what it is for: the comment at its head
	Text  []byte
}

// Profiles lists those that are ready, the recommended one first.
func Profiles() ([]Profile, error) {
	files, err := profileFiles.ReadDir("profiles")
	if err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	var list []Profile
	for _, f := range files {
		text, err := profileFiles.ReadFile("profiles/" + f.Name())
		if err != nil {
			return nil, fault.Because(fault.Internal, err, "")
		}
		p := Profile{Name: strings.TrimSuffix(f.Name(), ".yaml"), About: head(string(text)), Text: text}
		if p.Name == Recommended {
			list = slices.Insert(list, 0, p)
		} else {
			list = append(list, p)
		}
	}
	return list, nil
}

// head is the comment at a text's beginning, in one line.
func head(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		words = append(words, strings.TrimSpace(comment))
	}
	return strings.Join(words, " ")
}

// profile finds one by name, as it is written.
func profile(name string) (Profile, error) {
	list, err := Profiles()
	if err != nil {
		return Profile{}, err
	}
	i := slices.IndexFunc(list, func(p Profile) bool { return p.Name == name })
	if i < 0 {
		var names []string
		for _, p := range list {
			names = append(names, p.Name)
		}
		return Profile{}, fault.Field("profile", fmt.Sprintf("There is no profile %.60q; there are: %s.", name, strings.Join(names, ", ")))
	}
	return list[i], nil
}

// FindProfile gives a profile by name, complete: over the recommended one.
func FindProfile(name string) (*Document, error) {
	var both [2]*Document
	for i, n := range []string{Recommended, name} {
		p, err := profile(n)
		if err == nil {
			both[i], err = Parse(p.Text)
		}
		if err != nil {
			return nil, err
		}
	}
	return both[1].Over(both[0]), nil
}
