package main

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Machine is where figures were measured.
type Machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	MemoryMB   int64  `json:"memory_mb"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
}

func machine() Machine {
	m := Machine{Processors: runtime.NumCPU(), Go: runtime.Version()}
	read := func(path string) string {
		text, _ := os.ReadFile(path) // an unknown machine is still measured
		return string(text)
	}
	m.Kernel = strings.TrimSpace(read("/proc/sys/kernel/osrelease"))
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
		}
	}
	for line := range strings.Lines(read("/proc/meminfo")) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			var kb int64
			for _, c := range rest {
				if c >= '0' && c <= '9' {
					kb = kb*10 + int64(c-'0')
				}
			}
			m.MemoryMB = kb >> 10
		}
	}
	return m
}

// Baseline is one thing that the machine can do, of which every server has to
// do a part: median and extremes of its time.
type Baseline struct {
	What   string        `json:"what"`
	Median time.Duration `json:"median_ns"`
	Min    time.Duration `json:"min_ns"`
	Max    time.Duration `json:"max_ns"`
}

func baseline(dir string) []Baseline {
	body := make([]byte, 10<<10)
	_, _ = rand.Read(body) // never fails (crypto/rand)
	all := []Baseline{}
	if f, err := os.Create(filepath.Join(dir, "baseline")); err == nil {
		all = append(all, timed("append 10 KiB and fsync", 400, func() {
			_, _ = f.Write(body)
			_ = f.Sync()
		}))
		f.Close()
		os.Remove(f.Name())
	}
	if key, err := rsa.GenerateKey(rand.Reader, 2048); err == nil {
		sum := sha256.Sum256(body)
		all = append(all, timed("RSA-2048 signature (crypto/rsa)", 200, func() {
			_, _ = rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
		}))
	}
	block, err := aes.NewCipher(body[:32])
	if err != nil {
		return all
	}
	if gcm, err := cipher.NewGCM(block); err == nil {
		out := make([]byte, 0, len(body)+gcm.Overhead())
		all = append(all, timed("AES-256-GCM, seal 10 KiB", 2000, func() {
			gcm.Seal(out, body[:gcm.NonceSize()], body, nil)
		}))
	}
	return all
}

func timed(what string, n int, act func()) Baseline {
	act() // once to warm up
	times := make([]time.Duration, n)
	for i := range times {
		begun := time.Now()
		act()
		times[i] = time.Since(begun)
	}
	slices.Sort(times)
	return Baseline{What: what, Median: times[n/2], Min: times[0], Max: times[n-1]}
}
