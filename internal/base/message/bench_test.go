package message_test

import (
	"bytes"
	"strings"
	"testing"

	"mailvow/internal/base/message"
)

// tenKB is the mail of the relay benchmark: a header of a dozen fields and text.
func tenKB() []byte {
	head := "Received: from a.example (a.example [192.0.2.1])\r\n\tby mx.example with ESMTPS id x;\r\n\tSat, 21 Nov 2026 12:00:00 +0000\r\n" +
		"From: Ann <ann@example.com>\r\nTo: bob@example.net\r\nSubject: A subject of the usual length\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n" +
		"Message-ID: <20261121120000.1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\nX-Mailer: bench\r\n\r\n"
	return []byte(head + strings.Repeat(strings.Repeat("x", 70)+"\r\n", (10<<10-len(head))/72))
}

func BenchmarkParseHeader10KB(b *testing.B) {
	raw := tenKB()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		h, err := message.ParseHeader(bytes.NewReader(raw), int64(len(raw)), message.Options{})
		if err != nil || len(h.Fields) != 10 {
			b.Fatal(len(h.Fields), err)
		}
	}
}

func BenchmarkParse10KB(b *testing.B) {
	raw := tenKB()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.Parse(bytes.NewReader(raw), int64(len(raw)), message.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse1MBAttachment(b *testing.B) {
	raw := append([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
		base64Lines(bytes.Repeat([]byte("pdf data"), 100_000))...)
	raw = append(raw, "--b--\r\n"...)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := message.Parse(bytes.NewReader(raw), int64(len(raw)), message.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
