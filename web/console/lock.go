// Package console hands the build of the console its list of parts, so that the
// binary can say what it is made of. It promises the bytes of the lock file with
// which the console was built, and nothing else; the console itself stands in
// internal/door/console.
package console

import _ "embed" // the lock file

// Lock is package-lock.json.
//
//go:embed package-lock.json
var Lock []byte
