package pages

import (
	"net/http"

	"mailvow/internal/base/fault"
	"mailvow/internal/protect/ending"
)

// offer is what the page asks before it closes an account.
type offer struct {
	ending.Offer
	Problem string
}

// closing asks once more; it changes nothing.
func (p *Privacy) closing(w http.ResponseWriter, r *http.Request) {
	o, err := p.closings.Closing(r.Context(), r.PathValue("link"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.show(w, http.StatusOK, "closing", offer{Offer: o})
}

// close closes the account.
func (p *Privacy) close(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.refuse(w, r, fault.New(fault.Invalid, "The form did not come through; send it again."))
		return
	}
	atOnce := r.PostForm.Get("at_once") == "yes"
	e, err := p.closings.CloseBy(r.Context(), r.PathValue("link"), r.PostForm.Get("confirm"), atOnce)
	if fault.Is(err, fault.Invalid) {
		o, wrong := p.closings.Closing(r.Context(), r.PathValue("link"))
		if wrong != nil {
			p.refuse(w, r, wrong)
			return
		}
		p.show(w, http.StatusUnprocessableEntity, "closing", offer{o, "Write the account's name exactly as it stands here."})
		return
	}
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.show(w, http.StatusOK, "closed", struct {
		ending.Ending
		AtOnce bool
	}{e, atOnce})
}
