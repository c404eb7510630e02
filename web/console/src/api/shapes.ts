/** The shapes that the API answers with, named as the rooms speak of them. */

export type Time = string;

export type Page<T> = { items: T[] | null; next?: string | null };

export type Problem = {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  instance?: string;
  hint?: string;
  errors?: { location?: string; message?: string }[] | null;
};

export type Session = {
  user: { id: string; email: string; name?: string };
  customer?: { id: string; name: string } | null;
  roles?: string[] | null;
  permissions?: string[] | null;
  /** Rooms that exist only in some processes; "caught" is the dev inbox. */
  features?: string[] | null;
};

/** queued, delivered, deferred, failed, held or mixed; a newer server may say more. */
export type MessageState = string;

export type MessageRow = {
  id: string;
  direction: string;
  sender: string;
  /** The first one, where the server names it in lists. */
  recipient?: string;
  recipients_count: number;
  subject?: string;
  received_at: Time;
  state: MessageState;
  size: number;
  tags?: string[] | null;
};

export type RecipientRow = {
  id: string;
  address: string;
  state: MessageState;
  attempts?: number;
  next_attempt_at?: Time | null;
  last_reply?: string;
};

export type TimelineEntry = {
  at: Time;
  kind: string;
  recipient?: string;
  reply?: string;
  by?: string;
  text?: string;
};

export type Header = { name: string; value: string };

export type InboundRecord = {
  sender_ip?: string;
  message_id?: string;
  envelope_sender?: string;
  envelope_recipient?: string;
  subject?: string;
  date_received?: Time;
  server_response?: { status?: number; body?: string };
  processing_ms?: number;
};

export type MessageDetail = MessageRow & {
  recipients?: RecipientRow[] | null;
  timeline?: TimelineEntry[] | null;
  headers?: Header[] | null;
  inbound?: InboundRecord | null;
};

export type Attachment = {
  id?: string;
  index?: number;
  filename?: string;
  content_type: string;
  content_id?: string;
  size: number;
};

export type Parsed = {
  headers?: Header[] | null;
  text?: string;
  html?: string;
  attachments?: Attachment[] | null;
};

export type Conversation = {
  recipient?: string;
  attempt: number;
  at: Time;
  steps: { at: Time; took_ms?: number; sent?: string; got?: string }[] | null;
};

export type Receipt = { receipt?: unknown };

export type QueueRow = {
  id: string;
  message: string;
  recipient: string;
  domain: string;
  state: string;
  attempts: number;
  due_at?: Time | null;
  expires_at?: Time | null;
  last_reply?: string;
  customer?: string;
};

export type QueueSummary = {
  domain: string;
  customer?: string;
  ready: number;
  deferred: number;
  held: number;
  oldest_at?: Time | null;
  last_reply?: string;
};

export type Pause = { domain?: string; customer?: string; reason?: string; since?: Time; by?: string };

export type QueueTarget = { ids?: string[]; domain?: string; customer?: string; message?: string };
export type QueueResult = { count?: number };

export type DomainRecord = {
  type: string;
  name: string;
  value: string;
  purpose?: string;
  found?: string[] | null;
  ok: boolean;
};
export type Domain = {
  id: string;
  name: string;
  state: string;
  created_at?: Time;
  checked_at?: Time | null;
  records?: DomainRecord[] | null;
};

export type Route = {
  id: string;
  recipient: string;
  webhook?: { url: string; secret?: string };
  enabled?: boolean;
  created_at?: Time;
};

export type Token = {
  id: string;
  name: string;
  scopes?: string[] | null;
  secret?: string;
  created_at?: Time;
  expires_at?: Time | null;
  last_used_at?: Time | null;
};

export type Credential = {
  id: string;
  name?: string;
  username?: string;
  password?: string;
  network?: string;
  created_at?: Time;
  last_used_at?: Time | null;
};

export type Person = { id: string; email: string; name?: string; role: string; created_at?: Time };

export type Suppression = {
  id?: string;
  address?: string;
  reason: string;
  note?: string;
  until?: Time | null;
  created_at?: Time;
};

export type Customer = { id: string; name: string; created_at?: Time };

export type SubjectFindings = {
  findings: { category: string; place?: string; count: number; holder?: string; note?: string }[] | null;
};

export type CaughtRow = {
  id: string;
  from: string;
  to: string[] | null;
  subject?: string;
  received_at: Time;
  size: number;
};

export type Caught = {
  id?: string;
  from: string;
  to: string[] | null;
  subject?: string;
  date?: Time;
  headers?: Header[] | null;
  text?: string;
  html?: string;
  attachments?: Attachment[] | null;
  size: number;
};

export type Counts = {
  accepted_today: number;
  delivered_today: number;
  deferred_now: number;
  failed_today: number;
  queued_now: number;
};

export type Point = { at: Time; accepted: number; delivered: number; deferred: number; failed: number };

/** What a person needs to send the first mail; a dev server also names its demo secrets. */
export type Start = {
  smtp_host?: string;
  submission?: string;
  mx?: string;
  http?: string;
  domain?: string;
  smtp_username?: string;
  smtp_password?: string;
  api_token?: string;
  inbound_recipient?: string;
};

export type Overview = Counts & { series: Point[] | null; start?: Start };

export type Control = {
  id: string;
  says: string;
  kind: string;
  status: string;
  evidence?: string;
  checked_at?: Time | null;
};

export type InventoryEntry = {
  category?: string;
  holder?: string;
  where?: string;
  whose?: string;
  purpose?: string;
  basis?: string;
  period?: string;
  erasing?: string;
};
