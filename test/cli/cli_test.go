// Package cli runs the command line as people do: scripts with commands, what
// they print and their exit codes.
package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/smtp"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mailvow/internal/app"
	"mailvow/internal/app/command"
	"mailvow/internal/door/admin"
	"mailvow/internal/protect/evidence"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mailvow": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		os.Exit(command.Run(ctx, os.Args[1:], &command.Terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ()}))
	}})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: ".", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server": server, "send": send, "exits": exits, "await": await, "find": find, "entries": entries,
		},
	})
}

// server starts a dev server in a folder, sets $URL, $TOKEN, $SUBMISSION, $USERNAME, $PASSWORD
// and $DOMAIN, and stops it with the script.
func server(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := app.Dev(ctx, app.DevOptions{
			Dir: ts.MkAbs(args[0]), MX: "127.0.0.1:0", Submission: "127.0.0.1:0", Submissions: "127.0.0.1:0", HTTP: "127.0.0.1:0",
			JSON: true, Out: in, Err: io.Discard,
		})
		in.CloseWithError(io.ErrUnexpectedEOF)
		done <- err
	}()
	ts.Defer(func() { cancel(); <-done })
	var d app.Demo
	ts.Check(json.NewDecoder(out).Decode(&d))
	for name, value := range map[string]string{"SUBMISSION": d.Submission, "USERNAME": d.Username, "PASSWORD": d.Password, "DOMAIN": d.Domain, "TOKEN": d.Token, "URL": "http://" + d.HTTP} {
		ts.Setenv(name, value)
	}
}

// send sends a mail to an address through the server.
func send(ts *testscript.TestScript, _ bool, args []string) {
	host, _, _ := strings.Cut(ts.Getenv("SUBMISSION"), ":")
	from := "you@" + ts.Getenv("DOMAIN")
	c, err := smtp.Dial(ts.Getenv("SUBMISSION"))
	ts.Check(err)
	defer c.Close()
	ts.Check(c.StartTLS(&tls.Config{InsecureSkipVerify: true})) // made up at the start, on loopback
	ts.Check(c.Auth(smtp.PlainAuth("", ts.Getenv("USERNAME"), ts.Getenv("PASSWORD"), host)))
	ts.Check(c.Mail(from))
	ts.Check(c.Rcpt(args[0]))
	w, err := c.Data()
	ts.Check(err)
	_, err = io.WriteString(w, "From: "+from+"\r\nTo: "+args[0]+"\r\nSubject: Hello\r\n\r\nHello\r\n")
	ts.Check(errors.Join(err, w.Close(), c.Quit()))
}

// exits runs mailvow and compares its exit code: exits 2 mailvow queue retry.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if err != nil {
		code = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// await waits until a server answers on the socket of a folder.
func await(ts *testscript.TestScript, _ bool, args []string) {
	for range 600 {
		if _, err := admin.Call(context.Background(), admin.Dial(app.Socket(ts.MkAbs(args[0]))), admin.Ping, struct{}{}); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond) // another process: there is nothing else to wait on
	}
	ts.Fatalf("no server answers in %s", args[0])
}

// find sets a variable to a field of the JSON that was printed last: find ID id.
func find(ts *testscript.TestScript, _ bool, args []string) {
	var line map[string]any
	ts.Check(json.NewDecoder(strings.NewReader(ts.ReadFile("stdout"))).Decode(&line))
	text, ok := line[args[1]].(string)
	if !ok {
		ts.Fatalf("there is no text %s in %v", args[1], line)
	}
	ts.Setenv(args[0], text)
}

// entries waits until the evidence log of a folder has so many.
func entries(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	for range 600 {
		r, err := evidence.OpenReader(context.Background(), app.EvidenceFolder(ts.MkAbs(args[0])))
		if err == nil {
			if head, err := r.Checkpoint(context.Background()); err == nil && head.Size >= want {
				return
			}
		}
		time.Sleep(50 * time.Millisecond) // the log is written once a second
	}
	ts.Fatalf("the log in %s does not grow to %d", args[0], want)
}
