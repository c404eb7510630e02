package pages

import "net/http"

// childReport asks once more before a child's data goes; it changes nothing.
func (p *Privacy) childReport(w http.ResponseWriter, r *http.Request) {
	c, err := p.requests.ChildReport(r.Context(), r.PathValue("link"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.show(w, http.StatusOK, "child", c)
}

func (p *Privacy) eraseChild(w http.ResponseWriter, r *http.Request) {
	c, err := p.requests.EraseChild(r.Context(), r.PathValue("link"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.show(w, http.StatusOK, "erased", c)
}
