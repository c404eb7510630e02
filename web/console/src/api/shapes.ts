/** The shapes that the API answers with, named as the rooms speak of them. */
import type { components } from './schema';

type Schemas = components['schemas'];

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

export type Session = Schemas['Session'];
export type MessageRow = Schemas['Message'];
export type RecipientRow = Schemas['MessageRecipient'];
export type TimelineEntry = Schemas['TimelineEntry'];
export type Header = Schemas['HeaderField'];
export type InboundRecord = Schemas['InboundRecord'];
export type MessageDetail = Schemas['MessageDetail'];
export type Attachment = Schemas['File'];
export type Parsed = Schemas['Parsed'];
export type Conversation = Schemas['Conversation'];
export type QueueRow = Schemas['QueueItem'];
export type QueueSummary = Schemas['QueueGroup'];
export type Pause = Schemas['Pause'];
export type QueueTarget = Schemas['QueueTargetBody'];
export type DomainRecord = Schemas['DomainRecord'];
export type Domain = Schemas['Domain'];
export type Route = Schemas['Route'];
export type Token = Schemas['Token'];
export type Credential = Schemas['Credential'];
export type Person = Schemas['User'];
export type Role = Person['role'];
export type Suppression = Schemas['Suppression'];
export type Customer = Schemas['Customer'];
export type SubjectFinding = Schemas['Finding'];
export type PersonIdentifier = Schemas['PersonIdentifier'];
export type IdentifyingAttribute = Schemas['IdentifyingAttribute'];
export type PersonsRequest = Schemas['Request'];
export type RequestShare = Schemas['RequestShare'];
export type IncidentReport = Schemas['IncidentReport'];
export type ScopeSelector = Schemas['ScopeSelector'];
export type ScopeAnswer = Schemas['ScopeAnswer'];
export type Incident = Schemas['Incident'];
export type Attestation = Schemas['Attestation'];
export type Weakness = Schemas['Weakness'];
export type LawfulRequest = Schemas['LawfulRequest'];
export type AccessGrant = Schemas['AccessGrant'];
export type RaisedAlert = Schemas['RaisedAlert'];
export type LegalHold = Schemas['Hold'];
export type OnwardNotice = Schemas['OnwardNotice'];
export type CaughtRow = Schemas['CaughtItem'];
export type Caught = Schemas['Caught'];
export type Counts = Omit<Schemas['Overview'], 'series' | 'start' | 'alerts' | 'notices'>;
export type Point = Schemas['CountPoint'];
export type Overview = Schemas['Overview'];
export type MappedControl = Schemas['MappedControl'];
export type Backups = Schemas['Backups'];
export type Control = Schemas['Control'];
export type SubProcessor = Schemas['SubProcessor'];
export type SubProcessorDraft = Schemas['SubProcessorDraft'];
export type SubProcessorVerdict = Schemas['SubProcessorVerdict'];
export type Objection = Schemas['SupplyObjection'];
export type OwnEndpoint = Schemas['OperatorEndpoint'];
export type InventoryEntry = Schemas['InventoryEntry'];
export type RetentionState = Schemas['RetentionState'];
export type DocumentState = Schemas['DocumentState'];
export type DocumentCopy = Schemas['DocumentCopy'];
export type DocumentMark = Schemas['DocumentMark'];
export type DocumentVersion = Schemas['DocumentVersion'];
export type DocumentDraft = Schemas['DocumentDraft'];
export type PolicyNotice = Schemas['Notice'];
export type OverviewAlert = Schemas['Alert'];

/** What a person needs to send the first mail; only a dev server gives it. */
export type Start = {
  submission?: string;
  mx?: string;
  http?: string;
  domain?: string;
  smtp_username?: string;
  smtp_password?: string;
  api_token?: string;
  inbound_recipient?: string;
};
export type Policy = Schemas['PolicyInForce'];
export type Purpose = Schemas['Purpose'];
export type PolicySetting = Schemas['PolicySetting'];
export type PolicyVersion = Schemas['PolicyVersion'];
export type PolicyVerdict = Schemas['PolicyVerdict'];
export type PolicyProfile = Schemas['PolicyProfile'];
