package smtp

import (
	"bytes"
	"strconv"
	"strings"

	"mailvow/internal/base/fault"
)

// ParseBdat reads the argument of BDAT: the octets that follow, and whether
// they are the last (RFC 3030 section 2). After a fault nobody knows how many
// octets follow, so the connection has to end.
func ParseBdat(arg []byte) (octets int64, last bool, err error) {
	number, word, has := bytes.Cut(arg, []byte(" "))
	if has {
		last = strings.EqualFold(string(bytes.Trim(word, " ")), "LAST")
	}
	n, err := strconv.ParseUint(string(number), 10, 63)
	if err != nil || len(number) > 20 || has && !last {
		return 0, false, fault.Field(BlameSyntax, "BDAT has the form BDAT octets or BDAT octets LAST.")
	}
	return int64(n), last, nil
}
