package pages

import (
	"encoding/json"
	"net/http"
	"slices"

	"mailvow/internal/base/fault"
	"mailvow/internal/product/trust/document"
)

// CookiesPath is the register of what the server's pages store in a browser; with
// ".json" behind it the same for programs.
const CookiesPath = "/cookies"

// signal is how a browser says that it wants no tracking.
func signal(h http.Header) string {
	switch {
	case h.Get("Sec-GPC") == "1": // globalprivacycontrol.github.io/gpc-spec, section 3.2
		return "Global Privacy Control"
	case h.Get("DNT") == "1": // W3C Tracking Preference Expression, section 5.2
		return "Do Not Track"
	}
	return ""
}

func (t *Trust) cookies(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Sec-GPC, DNT")
	list := t.Stored()
	t.show(w, http.StatusOK, "cookies", struct {
		List   []document.Cookie
		Asks   bool
		Signal string
	}{list, slices.ContainsFunc(list, func(c document.Cookie) bool { return !c.Essential }), signal(r.Header)})
}

// storedItem is one line of the register for programs.
type storedItem struct {
	Name      string `json:"name"` // one that ends in "…" stands for all that begin so
	Kind      string `json:"kind"`
	Where     string `json:"where"`
	Purpose   string `json:"purpose"`
	Life      string `json:"life"`
	MaxAge    int64  `json:"max_age"` // seconds, of a cookie
	Essential bool   `json:"essential"`
}

func (t *Trust) cookieRegister(w http.ResponseWriter, r *http.Request) {
	list := []storedItem{}
	for _, c := range t.Stored() {
		list = append(list, storedItem{c.Name, c.Kind, c.Where, c.Purpose, c.Life, int64(c.Longest.Seconds()), c.Essential})
	}
	b, err := json.MarshalIndent(map[string][]storedItem{"stored": list}, "", " ")
	if err != nil {
		t.refuse(w, r, fault.Because(fault.Internal, err, ""))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n')) // the peer went
}
