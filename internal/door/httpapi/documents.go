package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"mailvow/internal/base/fault"

	"mailvow/internal/product/trust/document"
	"mailvow/internal/protect/access"
	"mailvow/internal/protect/evidence"
	"mailvow/internal/protect/tenant"
)

// DocumentState is a document and how it stands.
type DocumentState struct {
	Document string           `json:"document"`
	Title    string           `json:"title"`
	About    string           `json:"about"`
	Public   bool             `json:"public" doc:"Its versions stand in the trust centre; the others are handed to whom the operator admits."`
	Newest   *DocumentVersion `json:"newest" doc:"Null: never published."`
	Changed  bool             `json:"changed" doc:"It would say something else today; the operator's to see."`
	Marks    int              `json:"marks" doc:"Sentences that were not seen to hold; the operator's to see."`
	Refused  string           `json:"refused,omitempty" doc:"Why there is none under the policy in force."`
}

// DocumentVersion is one published version; every version stays.
type DocumentVersion struct {
	Number      int       `json:"number"`
	PublishedAt time.Time `json:"published_at"`
	Policy      string    `json:"policy" doc:"The policy in force then."`
	Note        string    `json:"note" doc:"What changed."`
	Digest      string    `json:"digest" doc:"SHA-256 of the signed note, which names those of the document's forms; it stands in the evidence log."`
	Despite     []string  `json:"despite" nullable:"false" doc:"What was not seen to hold and was published all the same, with a remark."`
	Reason      string    `json:"reason,omitempty"`
}

// DocumentMark is a sentence that was not seen to hold, or a setting that is missing.
type DocumentMark struct {
	Under   string `json:"under"`
	Text    string `json:"text"`
	RestsOn string `json:"rests_on"`
	Status  string `json:"status,omitempty"`
	Why     string `json:"why"`
}

// DocumentDraft is a document as it would be published now.
type DocumentDraft struct {
	Title    string         `json:"title"`
	Line     string         `json:"line"`
	Markdown string         `json:"markdown"`
	HTML     string         `json:"html" doc:"For reading: the paper without its frame."`
	Marks    []DocumentMark `json:"marks" nullable:"false"`
}

// DocumentCopy is a signed document in all its forms.
type DocumentCopy struct {
	Document string `json:"document"`
	Line     string `json:"line"`
	HTML     []byte `json:"html" doc:"Base64; for reading."`
	Markdown []byte `json:"markdown" doc:"Base64; the note covers it."`
	PDF      []byte `json:"pdf" doc:"Base64; the note covers it."`
	JSON     []byte `json:"json" doc:"Base64; the note covers it."`
	Note     []byte `json:"note" doc:"Base64; the detached note that mailvow certificate verify reads."`
}

// ByDocument names a document in the path.
type ByDocument struct {
	Kind string `path:"kind" maxLength:"40" doc:"The document, as the list names it."`
}

type documentsOut struct{ Body []DocumentState }
type documentVersionsOut struct{ Body []DocumentVersion }
type documentDraftOut struct{ Body DocumentDraft }
type documentCopyOut struct{ Body DocumentCopy }
type documentVersionOut struct{ Body DocumentVersion }

type publishDocumentIn struct {
	ByDocument
	Body struct {
		Note     string `json:"note,omitempty" maxLength:"500" doc:"What changed; public."`
		LeaveOut bool   `json:"leave_out,omitempty" doc:"Leave out every sentence that was not seen to hold."`
		Anyway   string `json:"anyway,omitempty" maxLength:"500" doc:"Publish such sentences with a remark, and say why; it is put on record."`
	}
}

type admitIn struct {
	ByDocument
	Body struct {
		Days int `json:"days,omitempty" minimum:"1" maximum:"365" default:"30"`
	}
}

type admittedOut struct {
	Body struct {
		Path  string    `json:"path" doc:"Below the server's address; it opens the document for whoever has it."`
		Until time.Time `json:"until"`
	}
}

func (a *API) documentRoutes() {
	const tag = "documents"
	register(a, op{id: "list-documents", method: http.MethodGet, path: "/v1/documents", summary: "The documents and their newest versions", tag: tag, needs: access.PolicyRead}, a.listDocuments)
	register(a, op{id: "list-document-versions", method: http.MethodGet, path: "/v1/documents/{kind}/versions", summary: "Every published version, newest first", tag: tag, needs: access.PolicyRead}, a.listDocumentVersions)
	register(a, op{id: "get-document-copy", method: http.MethodGet, path: "/v1/documents/{kind}/copy", summary: "A signed copy, made now under the policy that holds for the asker", tag: tag, needs: access.PolicyRead}, a.copyDocument)
	register(a, op{id: "get-document-draft", method: http.MethodGet, path: "/v1/documents/{kind}/draft", summary: "What would be published now, and what is marked in it", tag: tag, needs: access.PlatformRead}, a.draftDocument)
	register(a, op{id: "publish-document", method: http.MethodPost, path: "/v1/documents/{kind}/versions", summary: "Publish the next version", tag: tag, needs: access.PlatformManage, status: http.StatusCreated}, a.publishDocument)
	register(a, op{id: "admit-to-document", method: http.MethodPost, path: "/v1/documents/{kind}/links", summary: "A link with which somebody gets a document that is not public", tag: tag, needs: access.PlatformManage, once: true, status: http.StatusCreated}, a.admitToDocument)
}

func viewDocumentVersion(v document.Version) DocumentVersion {
	despite := v.Despite
	if despite == nil {
		despite = []string{}
	}
	return DocumentVersion{v.Number, v.Published.UTC(), v.Policy, v.Note, v.Digest.String(), despite, v.Reason}
}

func viewMarks(list []document.Mark) []DocumentMark {
	out := make([]DocumentMark, len(list))
	for i, m := range list {
		out[i] = DocumentMark{m.Under, m.Text, m.Rests, string(m.Status), m.Why}
	}
	return out
}

func (a *API) listDocuments(ctx context.Context, who Asker, _ *struct{}) (*documentsOut, error) {
	if a.parts.Documents == nil {
		return nil, absent()
	}
	list, err := a.parts.Documents.Standings(ctx)
	if err != nil {
		return nil, err
	}
	_, operator := who.May(access.PlatformRead)
	out := &documentsOut{make([]DocumentState, len(list))}
	for i, st := range list {
		s := DocumentState{Document: string(st.Kind), Title: st.Title, About: st.About, Public: st.Public, Refused: st.Refused}
		if st.Newest != nil {
			v := viewDocumentVersion(*st.Newest)
			s.Newest = &v
		}
		if operator {
			s.Changed, s.Marks = st.Changed, st.Marks
		}
		out.Body[i] = s
	}
	return out, nil
}

func (a *API) listDocumentVersions(ctx context.Context, _ Asker, in *ByDocument) (*documentVersionsOut, error) {
	sort, err := a.sortOf(in.Kind)
	if err != nil {
		return nil, err
	}
	list, err := a.parts.Documents.Versions(ctx, sort.Kind)
	out := &documentVersionsOut{[]DocumentVersion{}}
	for _, v := range list {
		out.Body = append(out.Body, viewDocumentVersion(v))
	}
	return out, err
}

func (a *API) sortOf(kind string) (document.Sort, error) {
	if a.parts.Documents == nil {
		return document.Sort{}, absent()
	}
	return document.SortOf(document.Kind(kind))
}

// copyDocument gives what is public, and to the operator what is not: others ask
// for a link.
func (a *API) copyDocument(ctx context.Context, who Asker, in *ByDocument) (*documentCopyOut, error) {
	sort, err := a.sortOf(in.Kind)
	if err != nil {
		return nil, err
	}
	if _, operator := who.May(access.PlatformRead); !sort.Public && !operator {
		return nil, fault.New(fault.Denied, "This document is handed to whom the operator admits; ask for a link to it, such as by the form of the trust centre.")
	}
	i, err := a.parts.Documents.Copy(ctx, sort.Kind, who.Tenant)
	if err != nil {
		return nil, err
	}
	return &documentCopyOut{DocumentCopy{string(sort.Kind), i.Paper.Line(), i.Paper.Page(), i.Markdown, i.PDF, i.JSON, i.Note}}, nil
}

func (a *API) draftDocument(ctx context.Context, _ Asker, in *ByDocument) (*documentDraftOut, error) {
	sort, err := a.sortOf(in.Kind)
	if err != nil {
		return nil, err
	}
	d, err := a.parts.Documents.Render(ctx, sort.Kind, tenant.Platform)
	if err != nil {
		return nil, err
	}
	return &documentDraftOut{DocumentDraft{d.Paper.Title, d.Paper.Line(), string(d.Paper.Markdown()), d.Paper.HTML(), viewMarks(d.Marks)}}, nil
}

func (a *API) publishDocument(ctx context.Context, _ Asker, in *publishDocumentIn) (*documentVersionOut, error) {
	sort, err := a.sortOf(in.Kind)
	if err != nil {
		return nil, err
	}
	v, _, err := a.parts.Documents.Publish(ctx, document.Order{Kind: sort.Kind, Note: in.Body.Note, LeaveOut: in.Body.LeaveOut, Anyway: strings.TrimSpace(in.Body.Anyway), Role: evidence.ByOperator})
	if err != nil {
		return nil, err
	}
	return &documentVersionOut{viewDocumentVersion(v)}, nil
}

func (a *API) admitToDocument(_ context.Context, _ Asker, in *admitIn) (*admittedOut, error) {
	sort, err := a.sortOf(in.Kind)
	if err != nil {
		return nil, err
	}
	life := time.Duration(in.Body.Days) * 24 * time.Hour
	path, err := a.parts.Documents.Admit(sort.Kind, life)
	out := &admittedOut{}
	out.Body.Path, out.Body.Until = path, a.parts.Clock.Now().Add(life).UTC()
	return out, err
}
