package message

import (
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"
)

// charsetAliases are names that occur in mail and in neither register.
var charsetAliases = map[string]string{
	"cp932": "shift_jis", "ms932": "shift_jis", "iso-2022-jp-1": "iso-2022-jp", "iso-2022-jp-2": "iso-2022-jp", "iso-2022-jp-ms": "iso-2022-jp",
	"cp936": "gbk", "cp949": "euc-kr", "ks_c_5601": "euc-kr", "cp950": "big5", "utf": "utf-8", "utf_8": "utf-8", "unicode": "utf-8",
	"iso8859_1": "iso-8859-1", "iso_8859_1": "iso-8859-1", "8859_1": "iso-8859-1", "iso-8859-8-i": "iso-8859-8", "win-1251": "windows-1251", "win-1252": "windows-1252",
	"cp-1252": "windows-1252", "macroman": "macintosh", "x-mac-roman": "macintosh",
}

// transformerFor gives the decoder of a charset to UTF-8. known is false if
// nobody knows the name; the text then passes as UTF-8 or windows-1252.
func transformerFor(name string) (t transform.Transformer, known bool) {
	name = strings.ToLower(strings.Trim(name, " \t\"'"))
	if alias, ok := charsetAliases[name]; ok {
		name = alias
	}
	switch name {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968", "default":
		return &mixed{}, true
	case "utf-8", "utf8":
		return encoding.Replacement.NewEncoder(), true // turns what is not UTF-8 into U+FFFD
	case "utf-7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7":
		return &utf7{}, true
	case "hz-gb-2312", "hz":
		return simplifiedchinese.HZGB2312.NewDecoder(), true
	case "iso-8859-8":
		return charmap.ISO8859_8.NewDecoder(), true
	}
	if e, canonical := charset.Lookup(name); e != nil && canonical != "replacement" {
		return e.NewDecoder(), true
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil {
		return e.NewDecoder(), true
	}
	return &mixed{}, false
}

// decodeCharset decodes a short text.
func decodeCharset(name, s string) string {
	t, _ := transformerFor(name)
	out, _, err := transform.String(t, s)
	if err != nil {
		out, _, _ = transform.String(&mixed{}, s) // mixed does not fail
	}
	return out
}

// textReader decodes a stream; it never fails on what it cannot decode.
func textReader(r io.Reader, name string) io.Reader {
	t, _ := transformerFor(name)
	return transform.NewReader(r, t)
}

// mixed takes UTF-8 as it is and every other octet as windows-1252.
type mixed struct{ transform.NopResetter }

func (*mixed) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		r, n := utf8.DecodeRune(src[nSrc:])
		if r == utf8.RuneError && n <= 1 {
			if !atEOF && !utf8.FullRune(src[nSrc:]) {
				return nDst, nSrc, transform.ErrShortSrc
			}
			r, n = charmap.Windows1252.DecodeByte(src[nSrc]), 1
		}
		if nDst+utf8.RuneLen(r) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += n
	}
	return nDst, nSrc, nil
}

// utf7 decodes RFC 2152: a shifted run is base64 of UTF-16. No register of the
// dependencies offers it.
type utf7 struct {
	shifted bool
	high    rune // a high surrogate that waits for its low one
	acc     uint32
	bits    uint
	fresh   bool // nothing has come since the +
}

func (u *utf7) Reset() { *u = utf7{} }

func (u *utf7) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if len(dst)-nDst < 2*utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		c := src[nSrc]
		nSrc++
		switch {
		case !u.shifted && c == '+':
			u.shifted, u.fresh, u.acc, u.bits = true, true, 0, 0
		case !u.shifted && c < utf8.RuneSelf:
			dst[nDst] = c
			nDst++
		case !u.shifted:
			nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
		case base64Value[c] < 64:
			u.fresh = false
			nDst += u.sextet(dst[nDst:], base64Value[c])
		default:
			nDst += u.unshift(dst[nDst:], c)
		}
	}
	if atEOF && u.high != 0 {
		if len(dst)-nDst < utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
		u.high = 0
	}
	return nDst, nSrc, nil
}

func (u *utf7) sextet(dst []byte, v byte) int {
	u.acc = u.acc<<6 | uint32(v)
	u.bits += 6
	if u.bits < 16 {
		return 0
	}
	u.bits -= 16
	r := rune(u.acc >> u.bits & 0xffff)
	switch high := u.high; {
	case high != 0:
		u.high = 0
		return utf8.EncodeRune(dst, utf16.DecodeRune(high, r))
	case utf16.IsSurrogate(r):
		u.high = r
		return 0
	}
	return utf8.EncodeRune(dst, r)
}

// unshift ends a run at c: a - is swallowed, and +- is a plus sign.
func (u *utf7) unshift(dst []byte, c byte) (n int) {
	if u.high != 0 {
		n += utf8.EncodeRune(dst, utf8.RuneError)
		u.high = 0
	}
	u.shifted = false
	switch {
	case c == '-' && u.fresh:
		c = '+'
	case c == '-':
		return n
	case c >= utf8.RuneSelf:
		return n + utf8.EncodeRune(dst[n:], utf8.RuneError)
	}
	dst[n] = c
	return n + 1
}

// base64Value maps an octet to its six bits; 64 and up are outside the alphabet.
var base64Value = func() (v [256]byte) {
	for i := range v {
		v[i] = 0xff
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		v[c] = byte(i)
	}
	return v
}()
