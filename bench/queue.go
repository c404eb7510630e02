package main

import (
	"context"
	"io"
)

type Queue struct{}

func (*Queue) print(io.Writer) {}

type Rows struct {
	Rows  int
	Rate  float64
	Bytes int64
}

func (b *bench) queue(context.Context) (*Queue, error)   { return nil, nil }
func (b *bench) history(context.Context) ([]Rows, error) { return nil, nil }
