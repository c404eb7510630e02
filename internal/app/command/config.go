package command

import (
	"fmt"

	"mailvow/internal/app/config"
	"mailvow/internal/base/fault"
)

type configCommands struct {
	Check     configCheck     `cmd:"" help:"Read the file as the server would and say what is wrong."`
	Example   configExample   `cmd:"" help:"Print a commented file to start from."`
	Reference configReference `cmd:"" help:"Print the handbook's page about the file (Markdown)."`
}

type configCheck struct {
	reader
	Config string `help:"The file to check." env:"MAILVOW_CONFIG" default:"/etc/mailvow/mailvow.yaml" placeholder:"FILE"`
}

type checked struct {
	File  string `json:"file"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Run loads the file. A file that cannot be used is the answer no.
func (c *configCheck) Run(t *Terminal) error {
	_, err := config.Load(c.Config, t.Environ)
	if err != nil && !fault.Is(err, fault.Invalid) {
		return err
	}
	text, _ := fault.Public(err)
	if c.JSON {
		if err := t.answer(checked{c.Config, err == nil, text}); err != nil {
			return err
		}
	} else if err == nil {
		return t.say("%s is right.", c.Config)
	} else {
		fmt.Fprintln(t.Err, text)
	}
	if err != nil {
		return errNo
	}
	return nil
}

type configExample struct{}

// Run prints the example.
func (c *configExample) Run(t *Terminal) error {
	_, err := fmt.Fprint(t.Out, config.Example())
	return fault.Wrap(err, "print the example")
}

type configReference struct {
	reader
}

// Run prints the reference, or every setting as a line of JSON.
func (c *configReference) Run(t *Terminal) error {
	if c.JSON {
		return t.answer(config.Settings())
	}
	_, err := fmt.Fprint(t.Out, config.Reference())
	return fault.Wrap(err, "print the reference")
}
