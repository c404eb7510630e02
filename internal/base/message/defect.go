package message

// DefectKind says in what way a message departs from the standards.
type DefectKind string

// The closed list of defects.
const (
	DefectBareLF             DefectKind = "bare_lf"             // a line ends in LF alone (RFC 5322 2.3)
	DefectBareCR             DefectKind = "bare_cr"             // a CR that is not followed by LF (RFC 5322 2.3)
	DefectNUL                DefectKind = "nul"                 // a NUL octet in a header (RFC 5322 4)
	DefectMboxFrom           DefectKind = "mbox_from"           // the first line is an mbox "From " line
	DefectNoColon            DefectKind = "no_colon"            // a header line that is no field
	DefectFolding            DefectKind = "folding"             // a continuation line without a field, or of white space only
	DefectHeaderEnd          DefectKind = "header_end"          // the empty line after the header is missing
	DefectRaw8Bit            DefectKind = "raw_8bit"            // header octets above 127 that are not UTF-8
	DefectManyFields         DefectKind = "many_fields"         // more fields than Options.MaxFields
	DefectLongHeader         DefectKind = "long_header"         // more header bytes than Options allow
	DefectLongLine           DefectKind = "long_line"           // a line over 998 octets (RFC 5322 2.1.1)
	DefectDuplicateField     DefectKind = "duplicate_field"     // a field that may stand once stands twice (RFC 5322 3.6)
	DefectContentType        DefectKind = "content_type"        // a Content-Type that is no type/subtype
	DefectDuplicateParameter DefectKind = "duplicate_parameter" // a parameter is given twice; the first counts
	DefectParameter          DefectKind = "parameter"           // a parameter's syntax is wrong
	DefectEncoding           DefectKind = "encoding"            // an unknown Content-Transfer-Encoding
	DefectCompositeEncoding  DefectKind = "composite_encoding"  // a multipart or message under base64 or quoted-printable (RFC 2045 6.4)
	DefectCharset            DefectKind = "charset"             // an unknown charset
	DefectBase64             DefectKind = "base64"              // characters outside the alphabet, or a torn end
	DefectQuotedPrintable    DefectKind = "quoted_printable"    // an = without two hexadecimal digits or a line end
	DefectNoBoundary         DefectKind = "no_boundary"         // a multipart without boundary parameter, or with an empty one
	DefectLongBoundary       DefectKind = "long_boundary"       // a boundary over 70 characters (RFC 2046 5.1.1)
	DefectNoParts            DefectKind = "no_parts"            // a multipart whose boundary never occurs
	DefectNoFinalBoundary    DefectKind = "no_final_boundary"   // the closing boundary is missing
	DefectBoundaryTail       DefectKind = "boundary_tail"       // text behind a boundary on its line
	DefectManyParts          DefectKind = "many_parts"          // more parts than Options.MaxParts; the rest is one opaque body
	DefectDeep               DefectKind = "deep"                // nested deeper than Options.MaxDepth; the rest is one opaque body
	DefectEmbeddedUnfinished DefectKind = "embedded_unfinished" // a uuencoded file in a text that does not end
	DefectSharedBoundary     DefectKind = "shared_boundary"     // a multipart uses the boundary of an enclosing one
	DefectDate               DefectKind = "date"                // a Date that cannot be read
)

// Defect is one departure and where it was found.
type Defect struct {
	Kind   DefectKind `json:"kind"`
	Offset int64      `json:"offset"` // bytes from the start of the layer (see Part.Layer)
}

// perKind bounds how often one kind is listed, so that a flood of one cannot
// hide another.
const perKind = 8

func (p *parser) defect(kind DefectKind, off int64) {
	if len(p.defects) >= p.opts.MaxDefects {
		return
	}
	n := 0
	for i := range p.defects {
		if p.defects[i].Kind == kind {
			n++
		}
	}
	if n < perKind {
		p.defects = append(p.defects, Defect{Kind: kind, Offset: off})
	}
}

// once lists a kind at its first place only.
func (p *parser) once(kind DefectKind, off int64) {
	for i := range p.defects {
		if p.defects[i].Kind == kind {
			return
		}
	}
	p.defect(kind, off)
}
