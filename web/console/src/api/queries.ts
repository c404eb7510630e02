import { infiniteQueryOptions, QueryClient, queryOptions } from '@tanstack/react-query';
import { api, bytes, must, Refusal, rows } from './client';
import type { operations } from './schema';
import type { Page } from './shapes';

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal is an answer; only a server that cannot be reached is asked again.
      retry: (failures, error) => failures < 2 && !(error instanceof Refusal),
    },
  },
});

const pageSize = 50;

/** A list with a cursor: the pages that were loaded so far, and the next one. */
function paged<T>(key: readonly unknown[], load: (cursor: string | undefined) => Promise<Page<T>>) {
  return infiniteQueryOptions({
    queryKey: key,
    queryFn: ({ pageParam }) => load(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
  });
}

export function flat<T>(data: { pages: Page<T>[] } | undefined): T[] {
  return data?.pages.flatMap((page) => page.items ?? []) ?? [];
}

type Asked<Operation extends keyof operations> = NonNullable<operations[Operation]['parameters']['query']>;

/** What the address bar says; the server refuses a word that it does not know. */
type Words<T> = { [K in keyof T]?: string };
export type MessageFilter = Words<
  Pick<
    Asked<'list-messages'>,
    'recipient' | 'sender' | 'message_id' | 'subject' | 'outcome' | 'direction' | 'from' | 'to'
  >
>;
export type ConversationFilter = Words<
  Pick<Asked<'list-conversations'>, 'customer' | 'message' | 'from' | 'to'>
>;
export type QueueFilter = Words<Pick<Asked<'list-queue'>, 'state' | 'domain'>>;

const at = (id: string) => ({ params: { path: { id } } });
const list = (cursor: string | undefined) => ({ params: { query: { limit: pageSize, cursor } } });

export const q = {
  session: queryOptions({
    queryKey: ['session'],
    queryFn: () => must(api.GET('/v1/session')),
    staleTime: 60_000,
  }),
  overview: (range: 'hour' | 'day') =>
    queryOptions({
      queryKey: ['overview', range],
      queryFn: () => must(api.GET('/v1/overview', { params: { query: { range } } })),
      refetchInterval: range === 'hour' ? 10_000 : 60_000,
    }),
  messages: (filter: MessageFilter) =>
    paged(['messages', filter], (cursor) =>
      must(
        api.GET('/v1/messages', {
          params: { query: { ...(filter as Asked<'list-messages'>), limit: pageSize, cursor } },
        }),
      ),
    ),
  message: (id: string) =>
    queryOptions({ queryKey: ['message', id], queryFn: () => must(api.GET('/v1/messages/{id}', at(id))) }),
  parsed: (id: string) =>
    queryOptions({
      queryKey: ['message', id, 'parsed'],
      queryFn: () => must(api.GET('/v1/messages/{id}/parsed', at(id))),
    }),
  conversations: (id: string) =>
    queryOptions({
      queryKey: ['message', id, 'conversations'],
      queryFn: async () => rows(await must(api.GET('/v1/messages/{id}/conversations', at(id)))),
    }),
  protocol: (filter: ConversationFilter) =>
    paged(['protocol', filter], (cursor) =>
      must(api.GET('/v1/conversations', { params: { query: { ...filter, limit: pageSize, cursor } } })),
    ),
  queue: (filter: QueueFilter) =>
    paged(['queue', 'list', filter], (cursor) =>
      must(
        api.GET('/v1/queue', {
          params: { query: { ...(filter as Asked<'list-queue'>), limit: pageSize, cursor } },
        }),
      ),
    ),
  queueSummary: queryOptions({
    queryKey: ['queue', 'summary'],
    queryFn: async () => rows(await must(api.GET('/v1/queue/summary'))),
    refetchInterval: 10_000,
  }),
  pauses: queryOptions({
    queryKey: ['queue', 'pauses'],
    queryFn: async () => rows(await must(api.GET('/v1/queue/pauses'))),
  }),
  domains: paged(['domains'], (cursor) => must(api.GET('/v1/domains', list(cursor)))),
  domain: (id: string) =>
    queryOptions({ queryKey: ['domains', id], queryFn: () => must(api.GET('/v1/domains/{id}', at(id))) }),
  routes: paged(['routes'], (cursor) => must(api.GET('/v1/routes', list(cursor)))),
  tokens: paged(['tokens'], (cursor) => must(api.GET('/v1/tokens', list(cursor)))),
  credentials: paged(['credentials'], (cursor) => must(api.GET('/v1/credentials', list(cursor)))),
  users: paged(['users'], (cursor) => must(api.GET('/v1/users', list(cursor)))),
  requests: paged(['requests', 'list'], (cursor) => must(api.GET('/v1/requests', list(cursor)))),
  request: (id: string) =>
    queryOptions({ queryKey: ['requests', id], queryFn: () => must(api.GET('/v1/requests/{id}', at(id))) }),
  attributes: queryOptions({
    queryKey: ['identifying-attributes'],
    queryFn: () => must(api.GET('/v1/subjects/attributes')),
  }),
  incidents: paged(['incidents', 'list'], (cursor) => must(api.GET('/v1/incidents', list(cursor)))),
  attestations: paged(['attestations'], (cursor) => must(api.GET('/v1/attestations', list(cursor)))),
  findings: paged(['findings'], (cursor) => must(api.GET('/v1/findings', list(cursor)))),
  lawful: paged(['lawful', 'list'], (cursor) => must(api.GET('/v1/lawful-requests', list(cursor)))),
  transparency: queryOptions({
    queryKey: ['lawful', 'report'],
    queryFn: () => must(api.GET('/v1/transparency')),
  }),
  grants: paged(['grants'], (cursor) => must(api.GET('/v1/grants', list(cursor)))),
  alerts: {
    ...paged(['alerts'], (cursor) => must(api.GET('/v1/alerts', list(cursor)))),
    refetchInterval: 30_000,
  },
  incident: (id: string) =>
    queryOptions({ queryKey: ['incidents', id], queryFn: () => must(api.GET('/v1/incidents/{id}', at(id))) }),
  holds: paged(['holds'], (cursor) => must(api.GET('/v1/holds', list(cursor)))),
  onward: paged(['onward'], (cursor) => must(api.GET('/v1/onward', list(cursor)))),
  suppressions: paged(['suppressions'], (cursor) => must(api.GET('/v1/suppressions', list(cursor)))),
  termination: queryOptions({
    queryKey: ['termination'],
    queryFn: () => must(api.GET('/v1/termination')),
  }),
  customers: paged(['customers'], (cursor) => must(api.GET('/v1/customers', list(cursor)))),
  caught: {
    ...paged(['caught', 'list'], (cursor) => must(api.GET('/v1/caught', list(cursor)))),
    refetchInterval: 4_000,
  },
  caughtOne: (id: string) =>
    queryOptions({
      queryKey: ['caught', id],
      queryFn: () => must(api.GET('/v1/caught/{id}', at(id))),
      staleTime: Number.POSITIVE_INFINITY,
    }),
  caughtSource: (id: string) =>
    queryOptions({
      queryKey: ['caught', id, 'source'],
      queryFn: async ({ signal }) =>
        (await bytes(`/v1/caught/${encodeURIComponent(id)}/source`, signal)).text(),
      staleTime: Number.POSITIVE_INFINITY,
    }),
  controls: queryOptions({
    queryKey: ['controls'],
    queryFn: async () => rows(await must(api.GET('/v1/controls'))),
  }),
  mapped: (standard: NonNullable<Asked<'map-controls'>['standard']>) =>
    queryOptions({
      queryKey: ['controls', 'map', standard],
      queryFn: async () => rows(await must(api.GET('/v1/controls/map', { params: { query: { standard } } }))),
    }),
  backups: queryOptions({ queryKey: ['backups'], queryFn: () => must(api.GET('/v1/backups')) }),
  documents: queryOptions({
    queryKey: ['documents'],
    queryFn: async () => rows(await must(api.GET('/v1/documents'))),
  }),
  documentDraft: (kind: string) =>
    queryOptions({
      queryKey: ['documents', kind, 'draft'],
      queryFn: () => must(api.GET('/v1/documents/{kind}/draft', { params: { path: { kind } } })),
    }),
  documentCopy: (kind: string) =>
    queryOptions({
      queryKey: ['documents', kind, 'copy'],
      queryFn: () => must(api.GET('/v1/documents/{kind}/copy', { params: { path: { kind } } })),
    }),
  documentVersions: (kind: string) =>
    queryOptions({
      queryKey: ['documents', kind, 'versions'],
      queryFn: async () =>
        rows(await must(api.GET('/v1/documents/{kind}/versions', { params: { path: { kind } } }))),
    }),
  policy: queryOptions({
    queryKey: ['policy', 'now'],
    queryFn: () => must(api.GET('/v1/policy')),
  }),
  purposes: queryOptions({
    queryKey: ['policy', 'purposes'],
    queryFn: async () => rows(await must(api.GET('/v1/purposes'))),
  }),
  policyVersions: queryOptions({
    queryKey: ['policy', 'versions'],
    queryFn: async () => rows(await must(api.GET('/v1/policy/versions'))),
  }),
  policyProfiles: queryOptions({
    queryKey: ['policy', 'profiles'],
    queryFn: async () => rows(await must(api.GET('/v1/policy/profiles'))),
    staleTime: Number.POSITIVE_INFINITY,
  }),
  supply: queryOptions({
    queryKey: ['supply', 'list'],
    queryFn: async () => rows(await must(api.GET('/v1/sub-processors'))),
  }),
  subProcessor: (id: string) =>
    queryOptions({
      queryKey: ['supply', id],
      queryFn: () => must(api.GET('/v1/sub-processors/{id}', at(id))),
    }),
  objections: (id: string) =>
    queryOptions({
      queryKey: ['supply', id, 'objections'],
      queryFn: async () => rows(await must(api.GET('/v1/sub-processors/{id}/objections', at(id)))),
    }),
  endpoints: queryOptions({
    queryKey: ['supply', 'endpoints'],
    queryFn: async () => rows(await must(api.GET('/v1/endpoints'))),
  }),
  inventory: queryOptions({
    queryKey: ['inventory'],
    queryFn: async () => rows(await must(api.GET('/v1/inventory'))),
  }),
  retention: queryOptions({
    queryKey: ['retention'],
    queryFn: async () => rows(await must(api.GET('/v1/retention'))),
  }),
};
