package smtp

import (
	"iter"
	"strings"
	"time"

	"mailvow/internal/base/reply"
)

// Step is one exchange of a conversation as the client saw it.
type Step struct {
	At   time.Time     // when it was sent
	Took time.Duration // until its answer was read
	Sent string
	Got  string
}

// everyone marks a step that concerns every recipient.
const everyone = -1

// maxRecorded bounds what one step keeps of an answer.
const maxRecorded = 1024

type recorded struct {
	at        time.Time
	took      time.Duration
	start     int // in the text: sent, then got
	sent, end int
	recipient int
}

// transcript keeps a conversation in one piece of text, so that recording an
// exchange costs no allocation.
type transcript struct {
	text []byte
	list []recorded
}

// maxSteps bounds a conversation: 100 recipients and what stands around them.
const maxSteps = 256

func (t *transcript) clear() { t.text, t.list = t.text[:0], t.list[:0] }

func (t *transcript) add(at, now time.Time, sent string, got reply.Reply, recipient int) {
	t.begin(at, now, recipient)
	t.text = append(t.text, sent...)
	t.answer(got)
}

// sent is like add for a line that was built as bytes.
func (t *transcript) sent(at, now time.Time, sent []byte, got reply.Reply, recipient int) {
	t.begin(at, now, recipient)
	t.text = append(t.text, sent...)
	t.answer(got)
}

// note records what was neither sent nor answered as a line.
func (t *transcript) note(at, now time.Time, what string) {
	t.begin(at, now, everyone)
	t.close()
	t.text = append(t.text, what...)
	t.end()
}

func (t *transcript) begin(at, now time.Time, recipient int) {
	if len(t.list) >= maxSteps {
		// The last step is the one that tells the outcome.
		t.text = t.text[:t.list[maxSteps-1].start]
		t.list = t.list[:maxSteps-1]
	}
	t.list = append(t.list, recorded{at: at, took: now.Sub(at), start: len(t.text), recipient: recipient})
}

func (t *transcript) close() { t.list[len(t.list)-1].sent = len(t.text) }

func (t *transcript) end() { t.list[len(t.list)-1].end = len(t.text) }

func (t *transcript) answer(got reply.Reply) {
	t.close()
	from := len(t.text)
	t.text = got.Append(t.text)
	if len(t.text) > from+maxRecorded {
		t.text = t.text[:from+maxRecorded]
	}
	for len(t.text) > from && (t.text[len(t.text)-1] == '\n' || t.text[len(t.text)-1] == '\r') {
		t.text = t.text[:len(t.text)-1]
	}
	t.end()
}

// steps yields what concerns recipient i.
func (t *transcript) steps(i int) iter.Seq[Step] {
	text := string(t.text)
	list := t.list
	return func(yield func(Step) bool) {
		for _, r := range list {
			if r.recipient != everyone && r.recipient != i {
				continue
			}
			if !yield(Step{At: r.at, Took: r.took, Sent: text[r.start:r.sent], Got: strings.ToValidUTF8(text[r.sent:r.end], "?")}) {
				return
			}
		}
	}
}
