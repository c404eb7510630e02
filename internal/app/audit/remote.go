package audit

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"mailvow/internal/base/clock"
	"mailvow/internal/base/fault"
)

// maxFile bounds one file of the log: 256 entries of 32 KiB with their lengths.
const maxFile = 9 << 20

// Read implements evidence.Files on the published log. Each checkpoint is kept
// before anybody judges it.
func (a *auditor) Read(ctx context.Context, path string) ([]byte, error) {
	for tries := 0; ; tries++ {
		answer, err := a.get(ctx, "/evidence/"+path)
		if err != nil {
			return nil, err
		}
		switch {
		case answer.status == http.StatusOK:
			if path == "checkpoint" {
				err = a.folder.keep(a.Clock.Now(), string(answer.body))
			}
			return answer.body, err
		case answer.status == http.StatusNotFound:
			return nil, fault.New(fault.NotFound, "The server has no "+path+".")
		case answer.status == http.StatusTooManyRequests && tries < 20:
			wait, _ := strconv.Atoi(answer.header.Get("Retry-After"))
			if err := clock.Sleep(ctx, a.Clock, time.Duration(min(max(wait, 1), 30))*time.Second); err != nil {
				return nil, err
			}
			continue
		}
		return nil, fault.New(fault.Unavailable, "The server answers "+strconv.Itoa(answer.status)+" for "+path+".")
	}
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *auditor) get(ctx context.Context, path string) (answer, error) {
	return a.ask(ctx, http.MethodGet, path, nil, nil)
}

func (a *auditor) ask(ctx context.Context, method, path string, head http.Header, body io.Reader) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, a.base.String()+path, body)
	if err != nil {
		return answer{}, fault.Because(fault.Invalid, err, "")
	}
	for k, v := range head {
		r.Header[k] = v
	}
	got, err := a.client.Do(r)
	if err != nil {
		return answer{}, fault.Because(fault.Unavailable, err, "The server does not answer: "+err.Error()+".")
	}
	defer got.Body.Close()
	data, err := io.ReadAll(io.LimitReader(got.Body, maxFile+1))
	if err != nil {
		return answer{}, fault.Because(fault.Unavailable, err, "The server's answer breaks off.")
	}
	if len(data) > maxFile {
		return answer{}, fault.New(fault.Unavailable, "The server's answer has no end.")
	}
	return answer{status: got.StatusCode, header: got.Header, body: data}, nil
}
