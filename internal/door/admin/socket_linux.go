package admin

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"mailvow/internal/base/fault"
)

// longest is what fits into sockaddr_un with its end mark.
const longest = 107

// shortPath gives another name of the same socket where its path is too long for
// the kernel: through the folder's descriptor, which done closes.
func shortPath(path string) (short string, done func(), err error) {
	if len(path) <= longest {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}

// listen makes the socket, then narrows its mode; until then the folder, which
// is its owner's alone, and the check of who connects keep others out.
func listen(path string) (net.Listener, error) {
	short, done, err := shortPath(path)
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "The socket "+path+" cannot be made.")
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fault.Because(fault.Invalid, err, "The socket "+path+" cannot be made.")
	}
	l.SetUnlinkOnClose(false) // its short name may be gone by then
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fault.Because(fault.Invalid, err, "The socket "+path+" cannot be kept from others.")
	}
	return unlinking{l, path}, nil
}

// unlinking removes the socket when it is closed.
type unlinking struct {
	*net.UnixListener
	path string
}

// Close implements net.Listener.
func (u unlinking) Close() error {
	err := u.UnixListener.Close()
	if gone := os.Remove(u.path); err == nil && gone != nil && !os.IsNotExist(gone) {
		err = gone
	}
	return err
}

// peer asks the kernel whose connection this is.
func peer(c net.Conn) (uid int, err error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("no socket")
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	var asked error
	if err := raw.Control(func(fd uintptr) { cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return -1, err
	}
	if asked != nil {
		return -1, asked
	}
	return int(cred.Uid), nil
}
