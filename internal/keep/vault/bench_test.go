package vault

import "testing"

func BenchmarkSeal300(b *testing.B) {
	v, _ := inMemory(b)
	plain, dst := make([]byte, 300), make([]byte, 0, 400)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = v.Seal(dst[:0], alice, Content, AD{"queue", 7}, plain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSeal300Parallel(b *testing.B) {
	v, _ := inMemory(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		plain, dst := make([]byte, 300), make([]byte, 0, 400)
		for pb.Next() {
			dst, _ = v.Seal(dst[:0], alice, Content, AD{"queue", 7}, plain)
		}
	})
}

func BenchmarkOpen300(b *testing.B) {
	v, _ := inMemory(b)
	sealed, _ := v.Seal(nil, alice, Content, AD{"queue", 7}, make([]byte, 300))
	dst := make([]byte, 0, 400)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Open(dst[:0], alice, AD{"queue", 7}, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	v, _ := inMemory(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Hash(alice, "address", "somebody@example.com"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewKey(b *testing.B) {
	v, _ := inMemory(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := v.NewKey(alice, Content, AD{"blob", 7}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewEpochOnDisk(b *testing.B) {
	v := onDisk(b, func(c *Config) { c.MaxSeals = 1 })
	for b.Loop() {
		if _, err := v.Seal(nil, alice, Content, AD{"queue", 7}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
