package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// peer is a mail server that can be started between generator and sink.
type peer interface {
	name() string
	// factor says how many times the messages of Postfix it gets, so that a fast
	// server runs as long.
	factor() int
	start(context.Context, setting) (server, error)
}

// setting is where a server is to work.
type setting struct {
	dir, listen, sink string
	sessions          int
}

// server is a running peer.
type server interface {
	cpu() time.Duration
	memory() int64
	stop()
}

// groups is a server of one or more groups of processes.
type groups []*group

func (all groups) cpu() (sum time.Duration) {
	for _, g := range all {
		t, err := g.cpu()
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: read CPU time:", err)
		}
		sum += t
	}
	return sum
}

func (all groups) memory() (sum int64) {
	for _, g := range all {
		sum += g.memory()
	}
	return sum
}

func (all groups) stop() {
	for _, g := range slices.Backward(all) {
		g.stop()
	}
}

// peers gives those who can run here, and says who cannot and why.
func (b *bench) peers(signed bool) (here []peer, left []string) {
	all := []struct {
		peer   peer
		cannot string
	}{
		{&mailvow{binary: b.binary, signed: signed}, missing(b.binary, "make build")},
		{&postfix{signed: signed}, b.cannotPostfix(signed)},
		{&spike{b: b, folder: "spike-store", signed: signed}, b.cannotSpike("spike-store")},
		{&spike{b: b, folder: "spike", signed: signed}, b.cannotSpike("spike")},
	}
	if !signed {
		all = append(all, struct {
			peer   peer
			cannot string
		}{pipe{}, ""})
	}
	for _, x := range all {
		switch {
		case b.options.peers != "" && !slices.Contains(strings.Split(b.options.peers, ","), x.peer.name()):
		case x.cannot != "":
			left = append(left, x.peer.name()+": "+x.cannot)
		default:
			here = append(here, x.peer)
		}
	}
	return here, left
}

func missing(program, from string) string {
	if _, err := exec.LookPath(program); err != nil {
		return program + " is missing: " + from
	}
	return ""
}

// pipe is no server at all: the generator speaks to the sink. Its rate is the
// most that the rig can measure.
type pipe struct{}

func (pipe) name() string { return "no server" }
func (pipe) factor() int  { return 8 }

func (pipe) start(context.Context, setting) (server, error) { return groups(nil), nil }

// spike is one of the two bare programs that show what is possible at all.
type spike struct {
	b      *bench
	folder string
	signed bool
}

func (b *bench) cannotSpike(folder string) string {
	if _, err := os.Stat(filepath.Join(b.spikes, folder, "main.go")); err != nil {
		return "its source is not in " + b.spikes
	}
	return ""
}

func (s *spike) name() string {
	if s.signed {
		return s.folder + "+rsa"
	}
	return s.folder
}

func (s *spike) factor() int {
	if s.signed {
		return 1
	}
	return 4
}

func (s *spike) start(ctx context.Context, at setting) (server, error) {
	program, err := s.build(ctx)
	if err != nil {
		return nil, err
	}
	// Like Mailvow it has as many connections to the sink as one destination may have.
	// Both keep what they write in the round's folder, on the disk that all use.
	args := []string{"env", "SPIKE_LOG=" + filepath.Join(at.dir, "log"), "TMPDIR=" + at.dir, program, "-listen", at.listen, "-sink", at.sink, "-conns", strconv.Itoa(40)}
	if s.signed {
		args = append(args, "-sign")
	}
	g, err := start(ctx, s.folder, at.dir, args...)
	if err != nil {
		return nil, err
	}
	if err := g.listening(ctx, at.listen); err != nil {
		g.stop()
		return nil, err
	}
	return groups{g}, nil
}

// build compiles the spike once, from a copy, for its own folder is not ours.
func (s *spike) build(ctx context.Context) (string, error) {
	if p := s.b.built[s.folder]; p != "" {
		return p, nil
	}
	src := filepath.Join(s.b.dir, s.folder+"-source")
	if err := os.CopyFS(src, os.DirFS(filepath.Join(s.b.spikes, s.folder))); err != nil {
		return "", err
	}
	out := filepath.Join(s.b.dir, s.folder+"-program")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-mod=mod", "-o", out, ".")
	cmd.Dir = src
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", s.folder, err, text)
	}
	s.b.built[s.folder] = out
	return out, nil
}

func dials(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}
