package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"mailvow/internal/protect/access"
	"mailvow/internal/protect/tenant"
)

// TestASubProcessorIsAnnouncedObjectedToAndAnswered goes the whole way by the API.
func TestASubProcessorIsAnnouncedObjectedToAndAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.customers(b.acme)
	operator, owner := b.as(t, tenant.Platform, access.Operator), b.as(t, b.acme, access.Owner)
	entry := `{"entry":{"name":"Cloud","kind":"infrastructure","purposes":["object store"],"country":"DE","data":["bodies"],"endpoints":["s3.secret.example:443"],"agreement":{"document":"DPA","until":"2030-12-31"}}}`
	var made SubProcessorVerdict
	b.call("POST", "/v1/sub-processors", entry, operator).into(t, &made)
	if !made.Loosens || made.EffectiveAt.Before(b.clock.Now().Add(29*24*time.Hour)) {
		t.Fatalf("%+v", made)
	}
	shown := b.call("GET", "/v1/sub-processors", "", owner).Body.String()
	if !strings.Contains(shown, `"state":"coming"`) || !strings.Contains(shown, `"may_object":true`) || strings.Contains(shown, "secret") {
		t.Errorf("the customer is shown %s", shown)
	}
	if text := b.call("GET", "/v1/overview", "", owner).Body.String(); !strings.Contains(text, "Cloud is to get data") {
		t.Errorf("the customer's overview: %s", text)
	}
	at := "/v1/sub-processors/" + made.ID
	if r := b.call("POST", at+"/objections", `{"reason":"no"}`, b.as(t, b.acme, access.Viewer)); r.Code != http.StatusForbidden {
		t.Errorf("a viewer objects: %d", r.Code)
	}
	var objection SupplyObjection
	b.call("POST", at+"/objections", `{"reason":"we know them"}`, owner).into(t, &objection)
	if r := b.call("GET", at+"/objections", "", b.as(t, b.other, access.Owner)); strings.Contains(r.Body.String(), "know them") {
		t.Errorf("another customer reads %s", r.Body)
	}
	if text := b.call("GET", "/v1/overview", "", operator).Body.String(); !strings.Contains(text, "1 objections to Cloud wait") {
		t.Errorf("the operator's overview: %s", text)
	}
	if r := b.call("PUT", at, entry, operator); r.Code != http.StatusConflict {
		t.Errorf("a second change: %d %s", r.Code, r.Body)
	}
	b.call("POST", "/v1/objections/"+objection.ID+"/answer", `{"answer":"sealed bytes alone"}`, operator).into(t, &objection)
	if r := b.call("GET", at+"/objections", "", owner); !strings.Contains(r.Body.String(), "sealed bytes alone") {
		t.Errorf("the customer reads %s", r.Body)
	}
	b.clock.Wind(31 * 24 * time.Hour)
	if r := b.call("GET", at, "", b.as(t, b.acme, access.Viewer)); !strings.Contains(r.Body.String(), `"state":"in_force"`) {
		t.Errorf("after the notice period: %s", r.Body)
	}
}
