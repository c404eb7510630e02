package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"mailvow/internal/base/fault"
)

// Ring is the folder with the log's signing keys: NNNN.key holds a private key
// and its verifier key (mode 0600), NNNN.pub the verifier key of one that was
// rotated away, head the last checkpoint that was signed. What is in head was
// signed and nothing that contradicts it ever will be, whatever happens to the
// folder with the tiles.
type Ring struct {
	disk   disk
	dir    string
	origin string
	random io.Reader

	mu   sync.Mutex
	last int // the highest serial number
	keys []ringKey
}

type ringKey struct {
	serial int
	key    Key
	signer note.Signer // nil when the private key is gone
}

// OpenRing opens the key folder of the log called origin (a name such as
// mail.example.com/evidence, without spaces and plus signs), and makes it with
// a first key when it is not there. random is crypto/rand.Reader.
func OpenRing(dir, origin string, random io.Reader) (*Ring, error) {
	return openRing(osDisk{}, dir, origin, random)
}

func openRing(d disk, dir, origin string, random io.Reader) (*Ring, error) {
	r := &Ring{disk: d, dir: dir, origin: origin, random: random}
	if len(origin) > 200 || !isSentence(origin) {
		return nil, fault.Field("origin", "The evidence log's name must be printable, without @ and at most 200 octets.")
	}
	if err := mkdirs(d, dir); err != nil {
		return nil, storeFault(err, "make the evidence key folder")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.load(); err != nil {
		return nil, err
	}
	if len(r.keys) == 0 {
		if head, _ := r.head(); head != nil {
			return nil, fault.New(fault.Conflict, "The evidence log's signing key is missing.").WithHint("bring back the key files of " + dir + "; a new key would start another log")
		}
		if err := r.generate(); err != nil {
			return nil, err
		}
	}
	if len(r.signers()) == 0 {
		return nil, fault.New(fault.Conflict, "The evidence log has public keys but no private key.").WithHint("bring back the newest .key file of " + dir)
	}
	return r, nil
}

func (r *Ring) load() error {
	names, err := r.disk.list(r.dir)
	if err != nil {
		return storeFault(err, "list the evidence keys")
	}
	slices.Sort(names)
	for _, name := range names {
		var serial int
		var kind string
		if n, _ := fmt.Sscanf(name, "%04d.%s", &serial, &kind); n != 2 || (kind != "key" && kind != "pub") {
			continue
		}
		k, err := r.loadKey(filepath.Join(r.dir, name), kind == "key")
		if err != nil {
			return err
		}
		k.serial = serial
		r.last = max(r.last, serial)
		// A crash between writing .pub and removing .key leaves both.
		if i := slices.IndexFunc(r.keys, func(o ringKey) bool { return o.serial == serial }); i >= 0 {
			if k.signer != nil {
				r.keys[i] = k
			}
			continue
		}
		r.keys = append(r.keys, k)
	}
	return nil
}

func (r *Ring) loadKey(path string, private bool) (ringKey, error) {
	wrong := func(text string) (ringKey, error) {
		return ringKey{}, fault.New(fault.Conflict, "The evidence key file "+filepath.Base(path)+" "+text+".").WithHint("bring back " + path + " from a copy")
	}
	mode, err := r.disk.mode(path)
	if err != nil {
		return ringKey{}, storeFault(err, "look at an evidence key")
	}
	if private && mode.Perm()&0o077 != 0 {
		return ringKey{}, fault.New(fault.Denied, "The evidence key file "+filepath.Base(path)+" can be read by others.").WithHint("chmod 600 " + path)
	}
	data, err := r.disk.read(path)
	if err != nil {
		return ringKey{}, storeFault(err, "read an evidence key")
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) == 0 || len(lines) != 1+btoi(private) {
		return wrong("is damaged")
	}
	k := ringKey{}
	if k.key, err = ParseKey(lines[len(lines)-1]); err != nil {
		return wrong("is damaged")
	}
	if k.key.Origin() != r.origin {
		return wrong("belongs to a log of another name")
	}
	if private {
		if k.signer, err = note.NewSigner(lines[0]); err != nil || k.signer.KeyHash() != k.key.verifier.KeyHash() {
			return wrong("is damaged")
		}
	}
	return k, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *Ring) generate() error {
	private, public, err := note.GenerateKey(r.random, r.origin)
	if err != nil {
		return fault.Because(fault.Invalid, err, "No key can be made for an evidence log of that name.")
	}
	key, err := ParseKey(public)
	if err != nil {
		return fault.Field("origin", "The evidence log's name may hold no spaces and no plus sign.")
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return fault.Because(fault.Internal, err, "")
	}
	path := filepath.Join(r.dir, fmt.Sprintf("%04d.key", r.last+1))
	if err := replace(r.disk, path, []byte(private+"\n"+public+"\n"), 0o600); err != nil {
		return storeFault(err, "write a new evidence key")
	}
	r.last++
	r.keys = append(r.keys, ringKey{serial: r.last, key: key, signer: signer})
	return nil
}

// Origin is the log's name.
func (r *Ring) Origin() string { return r.origin }

// Keys are all public keys that ever signed, oldest first.
func (r *Ring) Keys() []Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Key, len(r.keys))
	for i, k := range r.keys {
		out[i] = k.key
	}
	return out
}

// Rotate makes a new key and returns the body of the leaf that the caller must
// stage. From now both keys sign; once the leaf is under a checkpoint the old
// private key is destroyed. Called again before that, it makes no third key and
// returns the same body, so that a crash between the two acts is repaired by
// rotating again.
func (r *Ring) Rotate() (*KeyRotation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.signers()) == 1 {
		if err := r.generate(); err != nil {
			return nil, err
		}
	}
	last := len(r.keys) - 1
	return &KeyRotation{New: r.keys[last].key.text, Old: r.keys[last-1].key.text, Purpose: PurposeEvidence}, nil
}

// retire destroys the private keys that body replaced. Repeating it is harmless.
func (r *Ring) retire(body *KeyRotation) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	to := slices.IndexFunc(r.keys, func(k ringKey) bool { return k.key.text == body.New })
	if to < 0 || r.keys[to].signer == nil {
		return nil
	}
	for i := range r.keys[:to] {
		k := &r.keys[i]
		if k.signer == nil {
			continue
		}
		base := filepath.Join(r.dir, fmt.Sprintf("%04d", k.serial))
		if err := replace(r.disk, base+".pub", []byte(k.key.text+"\n"), 0o600); err != nil {
			return storeFault(err, "keep the public half of an old evidence key")
		}
		if err := r.disk.remove(base + ".key"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return storeFault(err, "destroy an old evidence key")
		}
		if err := r.disk.sync(r.dir); err != nil {
			return storeFault(err, "destroy an old evidence key")
		}
		k.signer = nil
	}
	return nil
}

func (r *Ring) signers() []note.Signer {
	var out []note.Signer
	for _, k := range r.keys {
		if k.signer != nil {
			out = append(out, k.signer)
		}
	}
	return out
}

// head is the text of the last checkpoint signed, or nil.
func (r *Ring) head() ([]byte, error) {
	data, err := r.disk.read(filepath.Join(r.dir, headFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, storeFault(err, "read the last signed checkpoint")
}

// sign signs a head and makes it the last one before anybody sees it. before is
// what the caller builds on (nil: nothing); when something else was signed since,
// nothing is signed, and it is a Conflict fault.
func (r *Ring) sign(text string, before []byte) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, err := r.head()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(last, before) {
		return nil, fault.New(fault.Conflict, "Somebody else signed a checkpoint of this evidence log.").WithHint("let one process alone write the evidence log")
	}
	signed, err := note.Sign(&note.Note{Text: text}, r.signers()...)
	if err != nil {
		return nil, fault.Because(fault.Internal, err, "")
	}
	return signed, r.remember(signed)
}

func (r *Ring) remember(signed []byte) error {
	return storeFault(replace(r.disk, filepath.Join(r.dir, headFile), signed, 0o600), "remember the last signed checkpoint")
}

// made reports whether a rotation names keys of this ring.
func (r *Ring) made(body *KeyRotation) bool {
	known := func(text string) bool {
		return slices.ContainsFunc(r.Keys(), func(k Key) bool { return k.text == text })
	}
	return known(body.New) && known(body.Old)
}
