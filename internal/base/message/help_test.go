package message_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"os"
	"testing"

	"mailvow/internal/base/message"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readAll(t testing.TB, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, raw []byte) *message.Message {
	t.Helper()
	m, err := message.Parse(bytes.NewReader(raw), int64(len(raw)), message.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func base64Lines(b []byte) []byte {
	text := base64.StdEncoding.EncodeToString(b)
	var out bytes.Buffer
	for len(text) > 76 {
		out.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	out.WriteString(text + "\r\n")
	return out.Bytes()
}
