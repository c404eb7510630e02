import createClient, { type Middleware } from 'openapi-fetch';
import type { paths } from './schema';
import type { Problem } from './shapes';

/** A refusal of the server, with its problem document. */
export class Refusal extends Error {
  readonly problem: Problem;
  readonly status: number;
  constructor(status: number, problem: Problem) {
    super(problem.detail ?? problem.title ?? String(status));
    this.name = 'Refusal';
    this.status = status;
    this.problem = problem;
  }
}

function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

const idempotent: Middleware = {
  onRequest({ request }) {
    if (request.method === 'POST') request.headers.set('Idempotency-Key', randomKey());
    return request;
  },
};

export const api = createClient<paths>({ baseUrl: window.location.origin, credentials: 'same-origin' });
api.use(idempotent);

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** Gives the answer's data, or throws a Refusal that a person can read. */
export async function must<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw new Refusal(response.status, asProblem(error));
  return data as T;
}

function asProblem(error: unknown): Problem {
  if (typeof error === 'object' && error !== null) return error as Problem;
  return {};
}

/** Bytes from a path that is no JSON: message sources, attachments, exports. */
export async function bytes(path: string, signal?: AbortSignal, post?: object): Promise<Blob> {
  const response = await fetch(path, {
    credentials: 'same-origin',
    signal,
    ...(post && {
      method: 'POST',
      body: JSON.stringify(post),
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': randomKey() },
    }),
  });
  if (!response.ok) {
    throw new Refusal(response.status, asProblem(await response.json().catch(() => null)));
  }
  return response.blob();
}

/** Some lists are bare arrays and some are pages; rooms need not care. */
export function rows<T>(answer: T[] | { items: T[] | null } | null | undefined): T[] {
  if (!answer) return [];
  return Array.isArray(answer) ? answer : (answer.items ?? []);
}
