package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// tool builds a program of tools/ and keeps it in the user's cache, by its
// sources.
func tool(name string) (string, error) {
	source, err := fromRoot("tools", name)
	if err != nil {
		return "", err
	}
	version := sha256.New()
	for _, file := range []string{"main.go", "go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(source, file))
		if err != nil {
			return "", err
		}
		version.Write(content)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	program := filepath.Join(cache, "mailvow", name+"-"+hex.EncodeToString(version.Sum(nil)[:8]))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(filepath.Dir(program), 0o700); err != nil {
		return "", err
	}
	// Test processes run side by side: each builds its own and the last wins.
	own := fmt.Sprintf("%s.%d", program, os.Getpid())
	cmd := exec.Command("go", "build", "-o", own, ".")
	cmd.Dir = source
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build in tools/%s: %w: %s", name, err, said)
	}
	return program, os.Rename(own, program)
}
