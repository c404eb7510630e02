package egress_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// dials are the ways of opening a connection, by import path. "*" after a type
// means that making a value of it is one.
var dials = map[string][]string{
	"net": {
		"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer", "Resolver", "DefaultResolver",
		"LookupHost", "LookupIP", "LookupAddr", "LookupCNAME", "LookupMX", "LookupNS", "LookupPort", "LookupSRV", "LookupTXT",
		"ResolveTCPAddr", "ResolveUDPAddr", "ResolveIPAddr",
	},
	"net/http":                    {"DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm"},
	"net/smtp":                    {"Dial", "SendMail"},
	"net/rpc":                     {"Dial", "DialHTTP", "DialHTTPPath"},
	"crypto/tls":                  {"Dial", "DialWithDialer", "Dialer"},
	"syscall":                     {"Connect", "Socket"},
	"golang.org/x/sys/unix":       {"Connect", "Socket"},
	"golang.org/x/net/websocket":  {"Dial", "DialConfig"},
	"golang.org/x/net/proxy":      {"FromEnvironment", "Direct"},
	"google.golang.org/grpc":      {"Dial", "NewClient", "DialContext"},
	"github.com/miekg/dns":        {"Dial", "DialTimeout", "DialTimeoutWithTLS", "Exchange", "ExchangeContext"},
	"github.com/mjl-/adns":        {"Dialer", "Resolver", "DefaultResolver"},
	"github.com/mjl-/mox/dns":     {"StrictResolver"},
	"github.com/emersion/go-smtp": {"Dial", "DialTLS", "DialStartTLS", "SendMail", "SendMailTLS"},
}

// hooks are libraries that dial by themselves unless the file that sets them up
// hands them our dialer: import path, what starts them, what must be named.
var hooks = []struct{ path, start, must string }{
	{"github.com/jackc/pgx/v5", "ParseConfig", "DialFunc"},
	{"github.com/jackc/pgx/v5", "Connect", "DialFunc"},
	{"github.com/jackc/pgx/v5/pgxpool", "New", "DialFunc"},
	{"github.com/jackc/pgx/v5/pgxpool", "ParseConfig", "DialFunc"},
	{"github.com/minio/minio-go/v7", "New", "Transport"},
	{"github.com/minio/minio-go/v7", "NewCore", "Transport"},
	{"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp", "New", "WithHTTPClient"},
	{"github.com/caddyserver/certmagic", "NewACMEIssuer", "HTTPProxy"},
}

// values are types whose zero value dials by itself: a literal must set the field.
var values = map[string]string{"net/http.Client": "Transport", "net/http.Transport": "DialContext"}

// loose reports a value of such a type that is made without its field.
func loose(n ast.Node, names map[string]string) (string, bool) {
	var made ast.Expr
	var set []ast.Expr
	switch n := n.(type) {
	case *ast.CompositeLit:
		made, set = n.Type, n.Elts
	case *ast.ValueSpec:
		made = n.Type
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "new" && len(n.Args) == 1 {
			made = n.Args[0]
		}
	}
	sel, ok := made.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok {
		return "", false
	}
	name := names[pkg.Name] + "." + sel.Sel.Name
	field, ok := values[name]
	for _, e := range set {
		if kv, is := e.(*ast.KeyValueExpr); is {
			if key, is := kv.Key.(*ast.Ident); is && key.Name == field {
				return "", false
			}
		}
	}
	return name + " without " + field, ok
}

// offences lists what a file does round the gate.
func offences(file *ast.File) []string {
	names := map[string]string{}
	for _, im := range file.Imports {
		path, _ := strconv.Unquote(im.Path.Value)
		name := filepath.Base(path)
		if len(name) > 1 && name[0] == 'v' && name[1] >= '0' && name[1] <= '9' {
			name = filepath.Base(filepath.Dir(path))
		}
		name = strings.TrimSuffix(strings.TrimPrefix(name, "go-"), "-go")
		if im.Name != nil {
			name = im.Name.Name
		}
		names[name] = path
	}
	used, mentioned := map[string]bool{}, map[string]bool{}
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			mentioned[id.Name] = true
		}
		if o, ok := loose(n, names); ok {
			out = append(out, o)
		}
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		if !ok || names[pkg.Name] == "" || pkg.Obj != nil {
			return true
		}
		path := names[pkg.Name]
		used[path+"."+sel.Sel.Name] = true
		for _, bad := range dials[path] {
			if sel.Sel.Name == bad {
				out = append(out, path+"."+bad)
			}
		}
		return true
	})
	for _, h := range hooks {
		if used[h.path+"."+h.start] && !mentioned[h.must] {
			out = append(out, fmt.Sprintf("%s.%s without %s", h.path, h.start, h.must))
		}
	}
	return out
}

// outside is what the scan leaves out: the lab and the tests play the outside
// world, tools and the bench, which is a client and starts the peers it measures,
// stay outside the binary, and this package is the gate.
var outside = []string{"internal/lab", "internal/keep/egress", "test", "tools", "bench"}

// TestNoDialGoesRoundTheGate reads every Go file of the program.
func TestNoDialGoesRoundTheGate(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == ".git" ||
			slices.Contains(outside, filepath.ToSlash(rel))) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		seen++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, o := range offences(file) {
			t.Errorf("%s uses %s: open connections through keep/egress", rel, o)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("only %d files were read", seen)
	}
}

// TestDialsCanBeFound shows that the scan sees each kind of offence.
func TestDialsCanBeFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source string
		want   int
	}{
		{`package p; import "net"; func f() { net.Dial("tcp", "a:1") }`, 1},
		{`package p; import n "net"; var d n.Dialer`, 1},
		{`package p; import "net/http"; func f() { http.Get("x") }`, 1},
		{`package p; import "net/http"; var c = &http.Client{}`, 1},
		{`package p; import "net/http"; func f(t http.RoundTripper) *http.Client { return &http.Client{Transport: t} }`, 0},
		{`package p; import "net/http"; var t = &http.Transport{MaxIdleConns: 1}`, 1},
		{`package p; import "net/http"; var c http.Client`, 1},
		{`package p; import "net/http"; var c = new(http.Client)`, 1},
		{`package p; import "net/http"; type t struct{ c *http.Client; t *http.Transport }`, 0},
		{`package p; import "net/http"; func f(d dialer) { _ = &http.Transport{DialContext: d} }`, 0},
		{`package p; import "crypto/tls"; var d = tls.Dial`, 1},
		{`package p; import "github.com/jackc/pgx/v5"; var d, _ = pgx.ParseConfig("")`, 1},
		{`package p; import "github.com/minio/minio-go/v7"; var d, _ = minio.New("", nil)`, 1},
		{`package p; import "net"; func f() { net.Listen("tcp", "a:1"); net.JoinHostPort("", "") }`, 0},
		{`package p; type d struct{}; func (d) Dial() {}; func f() { var net d; net.Dial() }`, 0},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "p.go", c.source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := offences(file); len(got) != c.want {
			t.Errorf("%s: found %v, want %d", c.source, got, c.want)
		}
	}
}
