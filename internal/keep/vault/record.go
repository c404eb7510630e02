package vault

import (
	"encoding/binary"
	"hash/crc32"

	"mailvow/internal/base/fault"
	"mailvow/internal/base/ids"
)

// kind is what a record of the key store holds.
type kind uint8

const (
	kindTenant kind = 1 // wrapped by the key-encryption key
	kindEpoch  kind = 2 // wrapped by a tenant key
	kindIndex  kind = 3 // wrapped by a tenant key
)

// record is one wrapped key as the store keeps it (docs/formats/sealed.md).
// Everything before wrapped is bound to it as additional data.
type record struct {
	kind    kind
	tenant  ids.Tenant
	class   Class
	number  number
	id      ids.Key
	under   string // the wrapping key: a Wrapper's id, or 8 bytes of a key id
	wrapped []byte
}

const (
	recordMagic = "MVK1"
	maxRecord   = 4096
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (r *record) header() []byte {
	b := append(make([]byte, 0, 160), recordMagic...)
	b = append(b, byte(r.kind))
	b = binary.BigEndian.AppendUint64(b, uint64(r.tenant))
	b = append(b, byte(r.class))
	b = binary.BigEndian.AppendUint32(b, uint32(r.number))
	b = binary.BigEndian.AppendUint64(b, uint64(r.id))
	b = append(b, byte(len(r.under)))
	return append(b, r.under...)
}

func (r *record) encode() []byte {
	b := r.header()
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.wrapped)))
	b = append(b, r.wrapped...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeRecord refuses what is cut, damaged or not a record; a damaged copy is
// then read from the other one.
func decodeRecord(b []byte) (*record, error) {
	const fixed = 4 + 1 + 8 + 1 + 4 + 8 + 1
	bad := fault.New(fault.Internal, "a record of the key store is damaged")
	if len(b) < fixed+2+4 || len(b) > maxRecord || string(b[:4]) != recordMagic {
		return nil, bad
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[len(body):]) {
		return nil, bad
	}
	r := &record{
		kind: kind(b[4]), tenant: ids.Tenant(binary.BigEndian.Uint64(b[5:])), class: Class(b[13]),
		number: number(binary.BigEndian.Uint32(b[14:])), id: ids.Key(binary.BigEndian.Uint64(b[18:])),
	}
	rest := body[fixed:]
	n := int(b[26])
	if len(rest) < n+2 {
		return nil, bad
	}
	r.under, rest = string(rest[:n]), rest[n:]
	if int(binary.BigEndian.Uint16(rest)) != len(rest)-2 {
		return nil, bad
	}
	r.wrapped = rest[2:]
	return r, nil
}

// underKey is a tenant key's id as the records it wraps name it.
func underKey(id ids.Key) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(id)))
}

func (r *record) tenantKeyID() (ids.Key, error) {
	if len(r.under) != 8 {
		return 0, fault.New(fault.Internal, "a record of the key store names no tenant key")
	}
	return ids.Key(binary.BigEndian.Uint64([]byte(r.under))), nil
}
