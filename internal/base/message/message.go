// Package message reads and writes internet messages.
package message
