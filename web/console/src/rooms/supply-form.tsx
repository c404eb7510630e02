import { Select, SimpleGrid, Text, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import { api, must } from '../api/client';
import { queryClient } from '../api/queries';
import type { Objection, SubProcessor, SubProcessorDraft, SubProcessorVerdict } from '../api/shapes';
import { tell } from '../parts/ask';
import { FormBox } from '../parts/form';
import { exactTime, parseTime } from '../parts/format';
import { t } from '../texts';

export type Entry = SubProcessorDraft['entry'];
export const at = (id: string) => ({ params: { path: { id } } });
export const refresh = () => queryClient.invalidateQueries({ queryKey: ['supply'] });

/** One word or phrase a line. */
export const phrases = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

const kinds = ['infrastructure', 'delivery', 'payment', 'support', 'security', 'observation', 'own'];
const safeguards = ['adequacy', 'standard_clauses', 'binding_rules', 'derogation'];

/** What the form holds: lists as lines. */
type Fields = Record<
  | 'name'
  | 'kind'
  | 'purposes'
  | 'country'
  | 'region'
  | 'uses'
  | 'data'
  | 'endpoints'
  | 'agreement'
  | 'agreementUntil'
  | 'safeguard'
  | 'safeguardDocument'
  | 'safeguardUntil',
  string
>;

function fieldsOf(e?: Entry): Fields {
  const lines = (list?: string[] | null) => (list ?? []).join('\n');
  return {
    name: e?.name ?? '',
    kind: e?.kind ?? 'infrastructure',
    purposes: lines(e?.purposes),
    country: e?.country ?? '',
    region: e?.region ?? '',
    uses: lines(e?.uses),
    data: lines(e?.data),
    endpoints: lines(e?.endpoints),
    agreement: e?.agreement?.document ?? '',
    agreementUntil: e?.agreement?.until ?? '',
    safeguard: e?.safeguard?.kind ?? '',
    safeguardDocument: e?.safeguard?.document ?? '',
    safeguardUntil: e?.safeguard?.until ?? '',
  };
}

function entryOf(f: Fields): Entry {
  const trimmed = (s: string) => s.trim();
  return {
    name: trimmed(f.name),
    kind: f.kind,
    purposes: phrases(f.purposes),
    country: trimmed(f.country).toUpperCase(),
    region: trimmed(f.region),
    uses: phrases(f.uses),
    data: phrases(f.data),
    endpoints: phrases(f.endpoints),
    ...(f.agreement.trim() || f.agreementUntil
      ? { agreement: { document: trimmed(f.agreement), until: f.agreementUntil } }
      : {}),
    ...(f.safeguard
      ? { safeguard: { kind: f.safeguard, document: trimmed(f.safeguardDocument), until: f.safeguardUntil } }
      : {}),
  };
}

/** The form of an announcement; what it would change is shown before it is sent. */
export function Announce({ of, entry, close }: { of?: string; entry?: Entry; close: () => void }) {
  const [f, setFields] = useState(fieldsOf(entry));
  const [note, setNote] = useState('');
  const [verdict, setVerdict] = useState<SubProcessorVerdict | null>(null);
  const put = (name: keyof Fields, value: string) => {
    setVerdict(null);
    setFields((old) => ({ ...old, [name]: value }));
  };
  const text = (name: keyof Fields, more: object = {}) => (
    <TextInput
      label={t.supply.fields[name]}
      description={t.supply.hints[name]}
      value={f[name]}
      onChange={(e) => put(name, e.currentTarget.value)}
      {...more}
    />
  );
  const lines = (name: keyof Fields) => (
    <Textarea
      label={t.supply.fields[name]}
      description={t.supply.hints[name]}
      value={f[name]}
      autosize
      minRows={2}
      onChange={(e) => put(name, e.currentTarget.value)}
    />
  );
  async function send() {
    const body = { entry: entryOf(f), note };
    if (!verdict) {
      setVerdict(
        await must(api.POST('/v1/sub-processors/check', { params: { query: of ? { of } : {} }, body })),
      );
      return;
    }
    await must(
      of ? api.PUT('/v1/sub-processors/{id}', { ...at(of), body }) : api.POST('/v1/sub-processors', { body }),
    );
    await refresh();
    tell(t.supply.announced);
    close();
  }
  return (
    <FormBox submit={verdict ? t.supply.announce : t.supply.check} cancel={close} onSubmit={send}>
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
        {text('name', { 'data-autofocus': true })}
        <Select
          label={t.supply.fields.kind}
          value={f.kind}
          allowDeselect={false}
          data={kinds.map((k) => ({ value: k, label: t.supply.kinds[k] ?? k }))}
          onChange={(v) => put('kind', v ?? '')}
        />
        {text('country', { maxLength: 2 })}
        {text('region')}
        {lines('purposes')}
        {lines('data')}
        {lines('uses')}
        {lines('endpoints')}
        {text('agreement')}
        {text('agreementUntil', { type: 'date' })}
        <Select
          label={t.supply.fields.safeguard}
          description={t.supply.hints.safeguard}
          value={f.safeguard || null}
          clearable
          data={safeguards.map((k) => ({ value: k, label: t.supply.safeguards[k] ?? k }))}
          onChange={(v) => put('safeguard', v ?? '')}
        />
        {f.safeguard && text('safeguardDocument')}
        {f.safeguard && text('safeguardUntil', { type: 'date' })}
      </SimpleGrid>
      <TextInput
        label={t.supply.note}
        description={t.supply.noteText}
        value={note}
        maxLength={500}
        onChange={(e) => setNote(e.currentTarget.value)}
      />
      {verdict && <Verdict verdict={verdict} />}
    </FormBox>
  );
}

function Verdict({ verdict }: { verdict: SubProcessorVerdict }) {
  const date = parseTime(verdict.effective_at);
  const later = date !== null && date.getTime() > Date.now() + 60_000;
  return (
    <div role="status">
      <Text size="sm" fw={600}>
        {later && date ? t.supply.from(exactTime(date)) : t.supply.now}
      </Text>
      <Text size="sm">{verdict.loosens ? t.supply.loosens : t.supply.tightens}</Text>
      <ul>
        {verdict.changes.map((c) => (
          <li key={c.path}>
            <Text size="sm">{c.words}</Text>
          </li>
        ))}
      </ul>
    </div>
  );
}

export function Oppose({ of, close }: { of: SubProcessor; close: () => void }) {
  const [reason, setReason] = useState('');
  return (
    <FormBox
      submit={t.supply.object}
      cancel={close}
      onSubmit={async () => {
        await must(api.POST('/v1/sub-processors/{id}/objections', { ...at(of.id), body: { reason } }));
        await refresh();
        tell(t.supply.objected);
        close();
      }}
    >
      <Text size="sm">{t.supply.objectText}</Text>
      <Textarea
        label={t.supply.reason}
        value={reason}
        autosize
        minRows={3}
        maxLength={2000}
        data-autofocus
        onChange={(e) => setReason(e.currentTarget.value)}
      />
    </FormBox>
  );
}

export function Answer({ to, close }: { to: Objection; close: () => void }) {
  const [answer, setAnswer] = useState('');
  return (
    <FormBox
      submit={t.supply.answer}
      cancel={close}
      onSubmit={async () => {
        await must(api.POST('/v1/objections/{id}/answer', { ...at(to.id), body: { answer } }));
        await refresh();
        tell(t.supply.answered);
        close();
      }}
    >
      <Text size="sm" style={{ whiteSpace: 'pre-wrap' }}>
        {to.reason}
      </Text>
      <Textarea
        label={t.supply.answerLabel}
        description={t.supply.answerText}
        value={answer}
        autosize
        minRows={3}
        maxLength={2000}
        data-autofocus
        onChange={(e) => setAnswer(e.currentTarget.value)}
      />
    </FormBox>
  );
}
