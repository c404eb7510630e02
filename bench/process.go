package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// group is a server with all its processes, in a cgroup where the machine has
// one that we may use, because that alone counts the CPU time of processes
// which have come and gone.
type group struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	cgroup string
	ended  chan struct{}
}

// start runs a program as the root of a group. name is for messages.
func start(ctx context.Context, name, dir string, args ...string) (*group, error) {
	g := &group{ended: make(chan struct{}), cgroup: newCgroup(name)}
	if g.cgroup != "" {
		args = append([]string{"/bin/sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, g.cgroup}, args...)
	}
	g.cmd = exec.CommandContext(ctx, args[0], args[1:]...)
	g.cmd.Dir, g.cmd.Stdout, g.cmd.Stderr = dir, &g.output, &g.output
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	g.cmd.Cancel = func() error { return g.cmd.Process.Signal(syscall.SIGTERM) }
	g.cmd.WaitDelay = 20 * time.Second
	if err := g.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = g.cmd.Wait() // how it ended stands in ProcessState
		close(g.ended)
	}()
	return g, nil
}

// stop asks the group's root to end and then ends what is left of it.
func (g *group) stop() {
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.ended:
	case <-time.After(20 * time.Second):
		for _, pid := range g.pids() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		<-g.ended
	}
	if g.cgroup == "" {
		return
	}
	for range 100 { // a cgroup can go only when its last process has gone
		if os.Remove(g.cgroup) == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// listening waits until the group accepts connections at addr.
func (g *group) listening(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	var d net.Dialer
	for {
		if c, err := d.DialContext(ctx, "tcp", addr); err == nil {
			return c.Close()
		}
		select {
		case <-g.ended:
			return fmt.Errorf("%s ended: %v\n%s", g.cmd.Path, g.cmd.ProcessState, g.output.String())
		case <-ctx.Done():
			return fmt.Errorf("nobody listens at %s: %w\n%s", addr, ctx.Err(), g.output.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// newCgroup makes a group of cgroup v1 (cpuacct) or v2; "" without one.
func newCgroup(name string) string {
	for _, root := range []string{"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			continue
		}
		dir := filepath.Join(root, fmt.Sprintf("mailvow-bench-%d-%s", os.Getpid(), name))
		if os.Mkdir(dir, 0o755) == nil {
			return dir
		}
	}
	return ""
}

// cpu is the CPU time that the group has used so far.
func (g *group) cpu() (time.Duration, error) {
	if g.cgroup == "" {
		return g.cpuOfProcesses(), nil
	}
	if text, err := os.ReadFile(filepath.Join(g.cgroup, "cpuacct.usage")); err == nil {
		ns, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return time.Duration(ns), err
	}
	text, err := os.ReadFile(filepath.Join(g.cgroup, "cpu.stat"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "usage_usec "); ok {
			us, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
			return time.Duration(us) * time.Microsecond, err
		}
	}
	return 0, errors.New("cpu.stat has no usage_usec")
}

// cpuOfProcesses adds up what living processes and the children they have
// waited for used, in ticks of 10 ms.
func (g *group) cpuOfProcesses() time.Duration {
	var ticks int64
	for _, pid := range g.pids() {
		if f := stat(pid); len(f) > 14 {
			for _, x := range f[11:15] { // utime, stime, cutime, cstime
				n, _ := strconv.ParseInt(x, 10, 64)
				ticks += n
			}
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// stat gives the fields of /proc/PID/stat after the program's name.
func stat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// pids are the processes of the group that live now.
func (g *group) pids() []int {
	if g.cgroup != "" {
		text, err := os.ReadFile(filepath.Join(g.cgroup, "cgroup.procs"))
		if err != nil {
			return nil
		}
		var all []int
		for s := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(s); err == nil {
				all = append(all, pid)
			}
		}
		return all
	}
	return descendants(g.cmd.Process.Pid)
}

func descendants(root int) []int {
	parents := map[int]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if f := stat(pid); len(f) > 1 {
				parents[pid], _ = strconv.Atoi(f[1])
			}
		}
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		for pid, parent := range parents {
			if parent == all[i] {
				all = append(all, pid)
			}
		}
	}
	return all
}

// memory is what the group has in memory, pages that processes share counted
// once (PSS), in bytes.
func (g *group) memory() int64 {
	var sum int64
	for _, pid := range g.pids() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue // it has ended, or it is not ours to look at
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				kb, _ := strconv.ParseInt(f[1], 10, 64)
				sum += kb << 10
				break
			}
		}
	}
	return sum
}

// freeAddress is a port of 127.0.0.1 that nobody uses at this moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
