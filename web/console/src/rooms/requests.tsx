import {
  Anchor,
  Badge,
  Button,
  Checkbox,
  Group,
  Radio,
  Select,
  Stack,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core';
import { IconMailQuestion, IconPlus } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { PersonsRequest as Row, RequestShare as Share } from '../api/shapes';
import { openForm, tell } from '../parts/ask';
import { Block, Dot, Empty, Facts, State, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

const refresh = () => queryClient.invalidateQueries({ queryKey: ['requests'] });
const day = 24 * 60 * 60 * 1000;
const undecided = (s: Share) => s.state === 'open' || s.state === 'extended';
const tones: Record<string, string> = { in_time: 'good', soon: 'wait', overdue: 'bad', done: 'calm' };

/** How much of the law's clock is left, of the share that is due first. */
function Clock({ of }: { of: Row }) {
  const left = of.shares.filter((s) => s.standing !== 'done');
  const next = left.sort((a, b) => a.due_at.localeCompare(b.due_at))[0];
  if (!next) return <When at={of.ended_at} none={t.common.nothing} />;
  const days = Math.floor((Date.parse(next.due_at) - Date.now()) / day);
  return (
    <Group gap={8} wrap="nowrap" title={next.due_at}>
      <Dot tone={tones[next.standing] ?? 'calm'} />
      {t.requests.left(days)}
    </Group>
  );
}

const columns: Column<Row>[] = [
  {
    id: 'person',
    title: t.requests.person,
    lead: true,
    cell: (r) => (
      <Anchor component="button" type="button" fw={600} ta="left" onClick={() => show(r)}>
        {r.address}
      </Anchor>
    ),
  },
  { id: 'kind', title: t.requests.asks, cell: (r) => t.requests.kinds[r.kind] ?? r.kind },
  { id: 'state', title: t.common.state, cell: (r) => <State state={r.state} /> },
  { id: 'clock', title: t.requests.clock, cell: (r) => <Clock of={r} /> },
  { id: 'law', title: t.requests.law, cell: (r) => t.requests.laws[r.law] ?? r.law },
  { id: 'received', title: t.common.received, cell: (r) => <When at={r.received_at} /> },
  {
    id: 'acts',
    title: t.common.actions,
    align: 'right',
    cell: (r) => (
      <Button
        size="compact-sm"
        variant={r.shares.some(undecided) ? 'filled' : 'default'}
        onClick={() => show(r)}
      >
        {r.shares.some(undecided) ? t.requests.decide : t.common.details}
      </Button>
    ),
  },
];

const show = (r: Row) =>
  openForm(t.requests.titleOf(r.address), (close) => <Case of={r} close={close} />, 'lg');

export function Requests() {
  const query = useInfiniteQuery(q.requests);
  return (
    <Block
      flush
      title={t.requests.title}
      text={t.requests.text}
      aside={
        <Button leftSection={<IconPlus size={16} />} variant="default" onClick={enter}>
          {t.requests.enter}
        </Button>
      }
    >
      <PagedTable
        label={t.requests.title}
        query={query}
        columns={columns}
        rowKey={(r) => r.id}
        empty={
          <Empty icon={<IconMailQuestion size={22} />} title={t.requests.empty} text={t.requests.emptyText} />
        }
      />
    </Block>
  );
}

/** One request: what was asked, who was told, and what each customer decides. */
function Case({ of, close }: { of: Row; close: () => void }) {
  const { data } = useQuery({ ...q.request(of.id), initialData: of });
  return (
    <Stack gap="md">
      <Facts
        items={[
          [t.requests.asks, t.requests.kinds[data.kind] ?? data.kind],
          [t.requests.law, t.requests.laws[data.law] ?? data.law],
          [t.common.received, <When key="r" at={data.received_at} exact />],
          [
            t.requests.confirmed,
            <When key="c" at={data.confirmed_at} exact none={t.requests.notConfirmed} />,
          ],
        ]}
      />
      {data.note && (
        <Text size="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
          {t.requests.says(data.note)}
        </Text>
      )}
      {data.identifiers.length > 0 && (
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          {t.requests.knownBy(
            data.identifiers.map((i) => `${i.value} (${t.subject.sorts[i.is]})`).join(', '),
          )}
        </Text>
      )}
      {data.told.length > 0 && (
        <Block title={t.requests.told}>
          <Stack gap={4}>
            {data.told.map((n) => (
              <Group key={n.id} gap="xs" justify="space-between">
                <Text size="sm">{n.host}</Text>
                <State state={n.late ? 'overdue' : n.state} />
              </Group>
            ))}
          </Stack>
        </Block>
      )}
      {data.shares.map((s) => (
        <Block key={s.customer} title={data.shares.length > 1 ? s.customer : t.requests.decision}>
          <Stack gap="sm">
            <Group gap="sm">
              <State state={s.state} />
              {undecided(s) && (
                <Badge variant="light" color={s.standing === 'overdue' ? 'red' : 'gray'}>
                  {t.requests.dueOn(s.due_at.slice(0, 10))}
                </Badge>
              )}
            </Group>
            {s.reason && <Text size="sm">{t.requests.because(s.reason)}</Text>}
            {undecided(s) && <Decide of={data} share={s} close={close} />}
          </Stack>
        </Block>
      ))}
    </Stack>
  );
}

type Verdict = 'accept' | 'refuse' | 'extend';

type TheirsProps = { of: Row; verdict: Verdict; value: boolean; change: (theirs: boolean) => void };

/** Somebody must say whether the words that a person gave are that person's. */
function Theirs({ of, verdict, value, change }: TheirsProps) {
  if (verdict !== 'accept' || of.identifiers.length === 0 || of.source !== 'person') return null;
  return (
    <Checkbox
      label={t.requests.theirs}
      description={t.requests.theirsHelp}
      checked={value}
      onChange={(e) => change(e.currentTarget.checked)}
    />
  );
}

/** What a verdict on a case needs to be said with it. */
function needs(of: Row, verdict: Verdict) {
  const accepts = (kind: Row['kind']) => verdict === 'accept' && of.kind === kind;
  const inquiry = of.law === 'none';
  return {
    inquiry,
    wants: verdict !== 'accept' || inquiry,
    corrects: accepts('rectification'),
    child: accepts('child'),
    erases: accepts('erasure'),
  };
}

type ChoiceProps = { of: Row; share: Share; value: Verdict; change: (verdict: Verdict) => void };

function Choice({ of, share, value, change }: ChoiceProps) {
  const inquiry = of.law === 'none';
  return (
    <Radio.Group
      label={t.requests.verdict}
      value={value}
      onChange={(v) => change(v as Verdict)}
      description={t.requests.verdictHelp}
    >
      <Stack gap={6} mt={6}>
        <Radio
          value="accept"
          label={t.requests.accepts[of.kind] ?? (inquiry ? t.requests.answer : t.requests.accept)}
        />
        <Radio value="refuse" label={t.requests.refuse} />
        {!inquiry && share.state === 'open' && share.standing !== 'overdue' && (
          <Radio value="extend" label={t.requests.extend} />
        )}
      </Stack>
    </Radio.Group>
  );
}

function Decide({ of, share, close }: { of: Row; share: Share; close: () => void }) {
  const [verdict, setVerdict] = useState<Verdict>('accept');
  const [reason, setReason] = useState('');
  const [field, setField] = useState('name');
  const [value, setValue] = useState('');
  const [away, setAway] = useState(false);
  const [theirs, setTheirs] = useState(false);
  const [tried, setTried] = useState(false);
  const { inquiry, wants, corrects, child, erases } = needs(of, verdict);
  const ready = (!wants || reason.trim() !== '') && (!(corrects || child) || value.trim() !== '');
  return (
    <FormBox
      submit={t.requests.verdicts[verdict]}
      cancel={close}
      danger={erases || child}
      onSubmit={() => {
        setTried(true);
        if (!ready) return false;
        const body = {
          decision: verdict,
          customer: share.customer,
          reason: wants ? reason.trim() : undefined,
          field: corrects ? field : undefined,
          value: corrects || child ? value.trim() : undefined,
          identified: theirs,
          keep_away: erases && away,
        };
        return must(api.POST('/v1/requests/{id}/decide', { params: { path: { id: of.id } }, body })).then(
          () => {
            close();
            tell(t.requests.done[verdict]);
            return Promise.all([refresh(), queryClient.invalidateQueries({ queryKey: ['overview'] })]);
          },
        );
      }}
    >
      <Choice of={of} share={share} value={verdict} change={setVerdict} />
      {child && (
        <TextInput
          label={t.requests.childAddress}
          description={t.requests.childHelp}
          value={value}
          onChange={(e) => setValue(e.currentTarget.value)}
          error={tried && !value.trim() ? t.requests.needChild : null}
        />
      )}
      {wants && (
        <Textarea
          label={inquiry && verdict === 'accept' ? t.requests.message : t.requests.reason}
          description={t.requests.reasonHelp}
          autosize
          minRows={2}
          maxLength={2000}
          value={reason}
          onChange={(e) => setReason(e.currentTarget.value)}
          error={tried && !reason.trim() ? t.requests.needReason : null}
        />
      )}
      {corrects && (
        <Group grow align="flex-start">
          <Select
            label={t.subject.field}
            data={Object.entries(t.subject.fields).map(([key, label]) => ({ value: key, label }))}
            value={field}
            onChange={(v) => setField(v ?? 'name')}
          />
          <TextInput
            label={t.subject.value}
            value={value}
            onChange={(e) => setValue(e.currentTarget.value)}
            error={tried && !value.trim() ? t.subject.needValue : null}
          />
        </Group>
      )}
      <Theirs of={of} verdict={verdict} value={theirs} change={setTheirs} />
      {erases && (
        <Checkbox
          label={t.subject.keepAway}
          description={t.subject.keepAwayHelp}
          checked={away}
          onChange={(e) => setAway(e.currentTarget.checked)}
        />
      )}
    </FormBox>
  );
}

const enter = () => openForm(t.requests.enter, (close) => <Enter close={close} />);

function Enter({ close }: { close: () => void }) {
  const [address, setAddress] = useState('');
  const [kind, setKind] = useState<string>('access');
  const [law, setLaw] = useState<string>('gdpr');
  const [on, setOn] = useState('');
  const [tried, setTried] = useState(false);
  const bad = !/^[^\s@]+@[^\s@]+$/.test(address.trim());
  return (
    <FormBox
      submit={t.requests.enter}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (bad) return false;
        const body = {
          address: address.trim(),
          kind: kind as 'access',
          law: law as 'gdpr',
          received_at: on ? `${on}T00:00:00Z` : undefined,
        };
        return must(api.POST('/v1/requests', { body })).then(() => {
          close();
          tell(t.requests.entered);
          return refresh();
        });
      }}
    >
      <Text size="sm">{t.requests.enterText}</Text>
      <TextInput
        label={t.subject.address}
        type="email"
        autoComplete="off"
        value={address}
        onChange={(e) => setAddress(e.currentTarget.value)}
        error={tried && bad ? t.subject.needAddress : null}
        data-autofocus
      />
      <Select
        label={t.requests.asks}
        data={t.requests.asked.map((k) => ({ value: k, label: t.requests.kinds[k] ?? k }))}
        value={kind}
        onChange={(v) => setKind(v ?? 'access')}
      />
      <Group grow align="flex-start">
        <Select
          label={t.requests.law}
          data={['gdpr', 'ccpa'].map((k) => ({ value: k, label: t.requests.laws[k] ?? k }))}
          value={law}
          onChange={(v) => setLaw(v ?? 'gdpr')}
        />
        <TextInput
          label={t.requests.receivedOn}
          description={t.requests.receivedHelp}
          type="date"
          value={on}
          onChange={(e) => setOn(e.currentTarget.value)}
        />
      </Group>
    </FormBox>
  );
}
