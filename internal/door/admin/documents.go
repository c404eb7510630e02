package admin

import (
	"context"
	"net/http"
	"time"

	"mailvow/internal/base/ids"
	"mailvow/internal/product/trust/document"
	"mailvow/internal/protect/evidence"
)

// Documents is product/trust/document.
type Documents interface {
	Standings(ctx context.Context) ([]document.Standing, error)
	Versions(ctx context.Context, k document.Kind) ([]document.Version, error)
	Render(ctx context.Context, k document.Kind, of ids.Tenant) (document.Draft, error)
	Copy(ctx context.Context, k document.Kind, of ids.Tenant) (document.Issue, error)
	Get(ctx context.Context, k document.Kind, number int) (document.Issue, error)
	Publish(ctx context.Context, o document.Order) (document.Version, []document.Mark, error)
	Admit(k document.Kind, life time.Duration) (string, error)
}

// The operations on documents.
const (
	DocumentList     Op[struct{}, []DocumentStanding]      = "document/list"
	DocumentVersions Op[DocumentRef, []DocumentVersion]    = "document/versions"
	DocumentRender   Op[DocumentRef, DocumentFiles]        = "document/render"
	DocumentPublish  Op[DocumentOrder, DocumentPublished]  = "document/publish"
	DocumentAdmit    Op[DocumentAdmission, DocumentOpened] = "document/admit"
)

// DocumentStanding is how a document stands.
type DocumentStanding struct {
	Document  document.Kind `json:"document"`
	Title     string        `json:"title"`
	Public    bool          `json:"public"`
	Number    int           `json:"number"` // zero: never published
	Published time.Time     `json:"published,omitzero"`
	Changed   bool          `json:"changed"` // it would say something else today
	Marks     int           `json:"marks"`
	Refused   string        `json:"refused,omitempty"`
}

// DocumentRef names a document, under a customer's policy, or a published version.
type DocumentRef struct {
	Document document.Kind `json:"document"`
	Customer ids.Tenant    `json:"customer,omitzero"`
	Number   int           `json:"number,omitzero"`
}

// DocumentVersion is one published version.
type DocumentVersion struct {
	Document  document.Kind `json:"document"`
	Number    int           `json:"number"`
	Published time.Time     `json:"published"`
	Policy    string        `json:"policy"`
	Note      string        `json:"note"`
	Digest    string        `json:"digest"`
	Despite   []string      `json:"despite"`
	Reason    string        `json:"reason,omitempty"`
}

// DocumentFiles are the forms of a document with their note, and what is marked.
type DocumentFiles struct {
	Line     string          `json:"line"`
	Marks    []document.Mark `json:"marks"`
	HTML     []byte          `json:"html"`
	Markdown []byte          `json:"markdown"`
	PDF      []byte          `json:"pdf"`
	JSON     []byte          `json:"json"`
	Note     []byte          `json:"note"`
}

// DocumentOrder publishes.
type DocumentOrder struct {
	Document document.Kind `json:"document"`
	Note     string        `json:"note"`
	LeaveOut bool          `json:"leave_out"`
	Anyway   string        `json:"anyway"`
}

// DocumentPublished is what was published.
type DocumentPublished struct {
	DocumentVersion
	Marks []document.Mark `json:"marks"`
}

// DocumentAdmission admits somebody to a document that is not public.
type DocumentAdmission struct {
	Document document.Kind `json:"document"`
	Days     int           `json:"days"`
}

// DocumentOpened is where the document is to be had.
type DocumentOpened struct {
	URL   string    `json:"url"`
	Until time.Time `json:"until"`
}

func printedVersion(v document.Version) DocumentVersion {
	return DocumentVersion{v.Kind, v.Number, v.Published, v.Policy, v.Note, v.Digest.String(), v.Despite, v.Reason}
}

func (s *Server) documents(mux *http.ServeMux, p Parts) {
	handle(s, mux, DocumentList, func(ctx context.Context, _ struct{}) ([]DocumentStanding, error) {
		if p.Documents == nil {
			return nil, absent("documents")
		}
		list, err := p.Documents.Standings(ctx)
		out := make([]DocumentStanding, len(list))
		for i, st := range list {
			out[i] = DocumentStanding{Document: st.Kind, Title: st.Title, Public: st.Public, Changed: st.Changed, Marks: st.Marks, Refused: st.Refused}
			if st.Newest != nil {
				out[i].Number, out[i].Published = st.Newest.Number, st.Newest.Published
			}
		}
		return out, err
	})
	handle(s, mux, DocumentVersions, func(ctx context.Context, in DocumentRef) ([]DocumentVersion, error) {
		if p.Documents == nil {
			return nil, absent("documents")
		}
		list, err := p.Documents.Versions(ctx, in.Document)
		out := make([]DocumentVersion, len(list))
		for i, v := range list {
			out[i] = printedVersion(v)
		}
		return out, err
	})
	handle(s, mux, DocumentRender, func(ctx context.Context, in DocumentRef) (DocumentFiles, error) {
		if p.Documents == nil {
			return DocumentFiles{}, absent("documents")
		}
		return rendered(ctx, p.Documents, in)
	})
	// Publishing puts itself into the evidence log.
	handle(s, mux, DocumentPublish, func(ctx context.Context, in DocumentOrder) (DocumentPublished, error) {
		if p.Documents == nil {
			return DocumentPublished{}, absent("documents")
		}
		v, marks, err := p.Documents.Publish(ctx, document.Order{Kind: in.Document, Note: in.Note, LeaveOut: in.LeaveOut, Anyway: in.Anyway, Role: evidence.ByOperator})
		return DocumentPublished{printedVersion(v), marks}, err
	})
	act(s, mux, p, DocumentAdmit, nothing[DocumentAdmission, DocumentOpened], func(_ context.Context, in DocumentAdmission) (DocumentOpened, error) {
		if p.Documents == nil {
			return DocumentOpened{}, absent("documents")
		}
		life := time.Duration(in.Days) * 24 * time.Hour
		path, err := p.Documents.Admit(in.Document, life)
		return DocumentOpened{URL: path, Until: p.Clock.Now().Add(life)}, err
	})
}

// rendered gives a published version, or a signed copy of how a document stands.
func rendered(ctx context.Context, d Documents, in DocumentRef) (DocumentFiles, error) {
	var out DocumentFiles
	var i document.Issue
	var err error
	if in.Number > 0 {
		i, err = d.Get(ctx, in.Document, in.Number)
	} else {
		var draft document.Draft
		if draft, err = d.Render(ctx, in.Document, whose(in.Customer)); err != nil {
			return out, err
		}
		out.Marks = draft.Marks
		i, err = d.Copy(ctx, in.Document, whose(in.Customer))
	}
	if err != nil {
		return out, err
	}
	out.Line, out.HTML, out.Markdown, out.PDF, out.JSON, out.Note = i.Paper.Line(), i.Paper.Page(), i.Markdown, i.PDF, i.JSON, i.Note
	return out, nil
}
