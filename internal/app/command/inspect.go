package command

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/message"
)

type inspectCommand struct {
	reader
	Files []string `arg:"" name:"file" help:"Message files."`
}

// inspected is one message in JSON.
type inspected struct {
	File    string           `json:"file"`
	Size    int64            `json:"size"`
	Headers []inspectedField `json:"headers"`
	Tree    inspectedPart    `json:"tree"`
	Defects []message.Defect `json:"defects"`
}

type inspectedField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type inspectedPart struct {
	Section  string          `json:"section"`
	Type     string          `json:"type"`
	Encoding string          `json:"encoding,omitempty"`
	Charset  string          `json:"charset,omitempty"`
	Filename string          `json:"filename,omitempty"`
	Inline   bool            `json:"inline,omitempty"`
	Offset   int64           `json:"offset"`
	Size     int64           `json:"size"`
	Opaque   bool            `json:"opaque,omitempty"` // a limit was passed: it was not looked into
	Parts    []inspectedPart `json:"parts,omitempty"`
}

// Run looks into each file. A file that cannot be read does not stop the others.
func (c *inspectCommand) Run(t *Terminal) error {
	var failed error
	for _, name := range c.Files {
		if err := c.one(t, name); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

func (c *inspectCommand) one(t *Terminal, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fault.Because(fault.NotFound, err, fmt.Sprintf("%s cannot be read: %v.", name, errors.Unwrap(err)))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return fault.Because(fault.Invalid, err, name+" is no file.")
	}
	m, err := message.Parse(f, info.Size(), message.Options{})
	if err != nil {
		return fault.Because(fault.Unavailable, err, name+" cannot be read.")
	}
	x := inspected{File: name, Size: m.Size, Headers: []inspectedField{}, Tree: partOf(m.Root), Defects: m.Defects}
	if x.Defects == nil {
		x.Defects = []message.Defect{}
	}
	for _, field := range m.Header().Fields {
		x.Headers = append(x.Headers, inspectedField{field.Name(), message.DecodeText(field.Value())})
	}
	if c.JSON {
		return t.answer(x)
	}
	return t.inspected(x)
}

func partOf(p *message.Part) inspectedPart {
	x := inspectedPart{
		Section: p.Section(), Type: p.Type.Value, Encoding: p.Encoding, Filename: p.Filename(), Inline: p.IsInline(),
		Offset: p.Body.Start, Size: p.Size(), Opaque: p.Opaque,
	}
	if strings.HasPrefix(x.Type, "text/") {
		x.Charset = p.Charset()
	}
	for _, child := range p.Children {
		x.Parts = append(x.Parts, partOf(child))
	}
	return x
}

func (t *Terminal) inspected(x inspected) error {
	if err := t.say("%s, %d bytes", x.File, x.Size); err != nil {
		return err
	}
	for _, h := range x.Headers {
		if err := t.say("  %s: %s", h.Name, plain(h.Value)); err != nil {
			return err
		}
	}
	if err := t.part(x.Tree, 1); err != nil {
		return err
	}
	for _, d := range x.Defects {
		if err := t.say("  defect %s at %d", d.Kind, d.Offset); err != nil {
			return err
		}
	}
	return nil
}

func (t *Terminal) part(p inspectedPart, depth int) error {
	var notes []string
	for _, n := range []string{p.Charset, p.Encoding, plain(p.Filename)} {
		if n != "" {
			notes = append(notes, n)
		}
	}
	section := p.Section
	if section == "" {
		section = "message"
	}
	line := fmt.Sprintf("%s%s %s, %d bytes", strings.Repeat("  ", depth), section, plain(p.Type), p.Size)
	if len(notes) > 0 {
		line += " (" + strings.Join(notes, ", ") + ")"
	}
	if err := t.say("%s", line); err != nil {
		return err
	}
	for _, child := range p.Parts {
		if err := t.part(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// plain keeps a stranger's text from steering the terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}
