/**
 * The API's paths in the shape that openapi-typescript writes, so that the
 * generated file can take this one's place without a change elsewhere.
 */
import type * as S from './shapes';

type Answers<R, C extends number = 200> = {
  [K in C]: { content: { 'application/json': R } };
} & { default: { content: { 'application/problem+json': S.Problem } } };
type Empty = { 204: { content?: never } } & { default: { content: { 'application/problem+json': S.Problem } } };
type Query<Q> = { parameters: { query?: Q } };
type At<P> = { parameters: { path: P } };
type Body<B> = { requestBody: { content: { 'application/json': B } } };
type List = { limit?: number; cursor?: string };
type Id = At<{ id: string }>;

export interface paths {
  '/v1/session': {
    get: { responses: Answers<S.Session> };
    post: Body<{ link: string } | { email: string; password: string }> & { responses: Answers<S.Session> };
    delete: { responses: Empty };
  };
  '/v1/messages': {
    get: Query<
      List & {
        recipient?: string;
        sender?: string;
        message_id?: string;
        outcome?: string;
        direction?: string;
        from?: string;
        to?: string;
      }
    > & { responses: Answers<S.Page<S.MessageRow>> };
  };
  '/v1/messages/{id}': {
    get: Id & { responses: Answers<S.MessageDetail> };
    delete: Id & { responses: Answers<S.Receipt> };
  };
  '/v1/messages/{id}/parsed': { get: Id & { responses: Answers<S.Parsed> } };
  '/v1/messages/{id}/conversations': { get: Id & { responses: Answers<S.Conversation[] | S.Page<S.Conversation>> } };
  '/v1/queue': {
    get: Query<List & { state?: string; domain?: string; customer?: string }> & {
      responses: Answers<S.Page<S.QueueRow>>;
    };
  };
  '/v1/queue/summary': { get: { responses: Answers<S.QueueSummary[] | S.Page<S.QueueSummary>> } };
  '/v1/queue/pauses': { get: { responses: Answers<S.Pause[] | S.Page<S.Pause>> } };
  '/v1/queue/retry': { post: Body<S.QueueTarget> & { responses: Answers<S.QueueResult> } };
  '/v1/queue/fail': { post: Body<S.QueueTarget> & { responses: Answers<S.QueueResult> } };
  '/v1/queue/hold': { post: Body<S.QueueTarget> & { responses: Answers<S.QueueResult> } };
  '/v1/queue/release': { post: Body<S.QueueTarget> & { responses: Answers<S.QueueResult> } };
  '/v1/queue/pause': {
    post: Body<{ domain?: string; customer?: string; reason: string }> & { responses: Answers<S.Pause> };
  };
  '/v1/queue/resume': {
    post: Body<{ domain?: string; customer?: string; reason?: string }> & { responses: Answers<S.QueueResult> };
  };
  '/v1/domains': {
    get: Query<List> & { responses: Answers<S.Page<S.Domain>> };
    post: Body<{ name: string }> & { responses: Answers<S.Domain, 200 | 201> };
  };
  '/v1/domains/{id}': {
    get: Id & { responses: Answers<S.Domain> };
    delete: Id & { responses: Empty };
  };
  '/v1/domains/{id}/check': { post: Id & { responses: Answers<S.Domain> } };
  '/v1/routes': {
    get: Query<List> & { responses: Answers<S.Page<S.Route>> };
    post: Body<{ recipient: string; webhook: { url: string } }> & { responses: Answers<S.Route, 200 | 201> };
  };
  '/v1/routes/{id}': {
    get: Id & { responses: Answers<S.Route> };
    patch: Id & Body<{ webhook?: { url: string }; enabled?: boolean }> & { responses: Answers<S.Route> };
    delete: Id & { responses: Empty };
  };
  '/v1/tokens': {
    get: Query<List> & { responses: Answers<S.Page<S.Token>> };
    post: Body<{ name: string; scopes: string[]; expires_at?: string }> & {
      responses: Answers<S.Token, 200 | 201>;
    };
  };
  '/v1/tokens/{id}': { delete: Id & { responses: Empty } };
  '/v1/credentials': {
    get: Query<List> & { responses: Answers<S.Page<S.Credential>> };
    post: Body<{ name: string; network?: string }> & { responses: Answers<S.Credential, 200 | 201> };
  };
  '/v1/credentials/{id}': { delete: Id & { responses: Empty } };
  '/v1/users': {
    get: Query<List> & { responses: Answers<S.Page<S.Person>> };
    post: Body<{ email: string; name: string; role: string }> & { responses: Answers<S.Person, 200 | 201> };
  };
  '/v1/users/{id}': {
    patch: Id & Body<{ role?: string; name?: string }> & { responses: Answers<S.Person> };
    delete: Id & { responses: Empty };
  };
  '/v1/suppressions': {
    get: Query<List & { address?: string }> & { responses: Answers<S.Page<S.Suppression>> };
    post: Body<{ address: string; reason: string; note?: string; until?: string }> & {
      responses: Answers<S.Suppression, 200 | 201>;
    };
  };
  '/v1/suppressions/{id}': { delete: Id & { responses: Empty } };
  '/v1/customers': {
    get: Query<List> & { responses: Answers<S.Page<S.Customer>> };
    post: Body<{ name: string }> & { responses: Answers<S.Customer, 200 | 201> };
  };
  '/v1/subjects/find': { post: Body<{ address: string }> & { responses: Answers<S.SubjectFindings> } };
  '/v1/subjects/erase': {
    post: Body<{ address: string; reason: string }> & { responses: Answers<Record<string, unknown>> };
  };
  '/v1/subjects/export': { post: Body<{ address: string }> & { responses: Answers<Record<string, unknown>> } };
  '/v1/caught': {
    get: Query<List> & { responses: Answers<S.Page<S.CaughtRow>> };
    delete: { responses: Empty };
  };
  '/v1/caught/{id}': {
    get: Id & { responses: Answers<S.Caught> };
    delete: Id & { responses: Empty };
  };
  '/v1/overview': { get: Query<{ range?: 'hour' | 'day' }> & { responses: Answers<S.Overview> } };
  '/v1/controls': { get: { responses: Answers<S.Control[] | S.Page<S.Control>> } };
  '/v1/inventory': { get: { responses: Answers<S.InventoryEntry[] | S.Page<S.InventoryEntry>> } };
}
