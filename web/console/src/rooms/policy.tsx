import {
  Button,
  Code,
  Collapse,
  Group,
  Select,
  SimpleGrid,
  Stack,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core';
import { IconHistory } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Policy as InForce, PolicySetting, PolicyVerdict, PolicyVersion, Purpose } from '../api/shapes';
import { may } from '../may';
import { ask, openForm, tell } from '../parts/ask';
import { Block, Empty, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { exactTime, parseTime } from '../parts/format';
import { Page } from '../parts/page';
import { Loaded } from '../parts/problem';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';

const redactions = ['keep', 'truncate', 'hash', 'drop'];

/** The settings that most people need, and what each can be; no list: a time. */
const main: { path: string; choices?: string[] }[] = [
  { path: 'retention.message records' },
  { path: 'retention.conversations' },
  { path: 'record.inbound.subject', choices: redactions },
  { path: 'record.inbound.sender_ip', choices: redactions },
  { path: 'record.inbound.sender', choices: redactions },
  { path: 'record.outbound.subject', choices: redactions },
  { path: 'record.outbound.recipient', choices: redactions },
  { path: 'notice.policy' },
];

type Draft = { text?: string; settings?: Record<string, string>; note?: string };

const refresh = () => queryClient.invalidateQueries({ queryKey: ['policy'] });

/** Asks what a draft would change, shows it, and publishes it if that is what people want. */
async function review(draft: Draft, done: () => void) {
  const verdict = await must(api.POST('/v1/policy/check', { body: draft }));
  openForm(
    t.policy.changesTitle,
    (close) => (
      <Review
        draft={draft}
        verdict={verdict}
        close={close}
        done={() => {
          close();
          done();
        }}
      />
    ),
    'lg',
  );
}

function Review({
  draft,
  verdict,
  close,
  done,
}: {
  draft: Draft;
  verdict: PolicyVerdict;
  close: () => void;
  done: () => void;
}) {
  const [note, setNote] = useState('');
  const at = parseTime(verdict.effective_at);
  const later = at !== null && at.getTime() > Date.now() + 60_000;
  return (
    <FormBox
      submit={t.policy.publish}
      cancel={close}
      onSubmit={async () => {
        const made = await must(api.POST('/v1/policy/versions', { body: { ...draft, note } }));
        await refresh();
        tell(t.policy.published(made.number ?? 0));
        done();
      }}
    >
      <Stack gap="xs" component="ul" pl={0} m={0} style={{ listStyle: 'none' }}>
        {verdict.changes.map((c) => (
          <li key={c.path}>
            <Text size="sm" fw={600}>
              {t.policy.fields[c.path] ?? c.path}{' '}
              <Text span size="xs" c={c.loosens ? 'var(--app-bad)' : 'dimmed'}>
                ({c.loosens ? t.policy.looser : t.policy.stricter})
              </Text>
            </Text>
            <Text size="sm">
              {c.before || t.common.nothing} → {c.after || t.common.nothing}
            </Text>
          </li>
        ))}
      </Stack>
      <Text size="sm">
        {later && at ? t.policy.from(exactTime(at)) : t.policy.now}
        {later && verdict.changes.some((c) => c.loosens) ? ` ${t.policy.announced}` : ''}
      </Text>
      <TextInput
        label={t.policy.note}
        description={t.policy.noteText}
        value={note}
        maxLength={500}
        onChange={(e) => setNote(e.currentTarget.value)}
        data-autofocus
      />
    </FormBox>
  );
}

/** The few settings that most people need, as a form. */
function Main({ policy }: { policy: InForce }) {
  const [changed, setChanged] = useState<Record<string, string>>({});
  const [missing, setMissing] = useState(false);
  const now = new Map(policy.settings.map((s) => [s.path, s.value]));
  const put = (path: string, value: string) => {
    setMissing(false);
    setChanged((old) => {
      const next = { ...old, [path]: value };
      if (value === now.get(path)) delete next[path];
      return next;
    });
  };
  return (
    <FormBox
      submit={t.policy.check}
      onSubmit={() => {
        if (Object.keys(changed).length === 0) {
          setMissing(true);
          return false;
        }
        return review({ settings: changed }, () => setChanged({}));
      }}
    >
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
        {main.map(({ path, choices }) => {
          const label = t.policy.fields[path];
          const value = changed[path] ?? now.get(path) ?? '';
          return choices ? (
            <Select
              key={path}
              label={label}
              value={value}
              allowDeselect={false}
              data={choices.map((c) => ({ value: c, label: t.policy.choices[c] ?? c }))}
              onChange={(v) => put(path, v ?? '')}
            />
          ) : (
            <TextInput
              key={path}
              label={label}
              description={t.policy.spanHint}
              value={value}
              onChange={(e) => put(path, e.currentTarget.value)}
            />
          );
        })}
      </SimpleGrid>
      {missing && (
        <Text size="sm" c="var(--app-bad)" role="alert">
          {t.policy.nothing}
        </Text>
      )}
    </FormBox>
  );
}

const says: Column<PolicySetting>[] = [
  { id: 'path', title: t.policy.setting, lead: true, wrap: true, cell: (s) => <code>{s.path}</code> },
  { id: 'words', title: t.policy.says, wrap: true, grow: true, cell: (s) => s.words },
  {
    id: 'obeyed',
    title: t.policy.obeyedBy,
    cell: (s) =>
      s.obeyed ? (
        t.policy.obeyed
      ) : (
        <Text span size="sm" c="dimmed">
          {t.policy.onRecord}
        </Text>
      ),
  },
];
const whose: Column<PolicySetting> = {
  id: 'whose',
  title: t.policy.whose,
  cell: (s) => (s.own ? t.policy.own : t.policy.platform),
};

function Everything({ policy }: { policy: InForce }) {
  const [open, setOpen] = useState(false);
  return (
    <Block
      title={t.policy.inForce(policy.label)}
      text={t.policy.inForceText(policy.settings.length)}
      flush={open}
      aside={
        <Button size="compact-sm" variant="default" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? t.common.close : t.policy.showAll}
        </Button>
      }
    >
      {open && (
        <DataTable
          label={t.policy.all}
          columns={policy.platform ? says : [...says, whose]}
          rows={policy.settings}
          rowKey={(s) => s.path}
        />
      )}
    </Block>
  );
}

/** Asks, and publishes a version of the policy that names a purpose or leaves it out. */
function instruct(p: Purpose) {
  const on = !p.runs;
  ask({
    title: on ? t.policy.purposeOn(p.name) : t.policy.purposeOff(p.name),
    text: on ? t.policy.purposeOnText(p.what) : t.policy.purposeOffText(p.stops ?? ''),
    confirm: t.policy.publish,
    danger: !on,
    act: async () => {
      const made = await must(
        api.PUT('/v1/purposes/{name}', {
          params: { path: { name: p.name } },
          body: { instructed: on },
        }),
      );
      await refresh();
      tell(t.policy.published(made.number ?? 0));
    },
  });
}

/** What data is processed for, on whose word, and the switch of what the policy instructs. */
function Purposes({ manage, platform }: { manage: boolean; platform: boolean }) {
  const query = useQuery(q.purposes);
  const columns: Column<Purpose>[] = [
    { id: 'name', title: t.policy.purpose, lead: true, cell: (p) => <strong>{p.name}</strong> },
    { id: 'what', title: t.policy.purposeFor, wrap: true, grow: true, cell: (p) => p.what },
    {
      id: 'ground',
      title: t.policy.purposeGround,
      wrap: true,
      cell: (p) => p.law ?? t.policy.grounds[p.ground],
    },
    {
      id: 'runs',
      title: t.policy.purposeState,
      cell: (p) => (p.runs ? t.policy.purposeRuns : t.policy.purposeStopped),
    },
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (p) =>
        manage &&
        p.ground === 'instructed' &&
        (p.runs || p.offered || platform) && (
          <Button
            size="compact-xs"
            variant="default"
            aria-label={p.runs ? t.policy.purposeOff(p.name) : t.policy.purposeOn(p.name)}
            onClick={() => instruct(p)}
          >
            {p.runs ? t.policy.switchOff : t.policy.switchOn}
          </Button>
        ),
    },
  ];
  return (
    <Block title={t.policy.purposes} text={t.policy.purposesText} flush>
      <Loaded query={query}>
        {(rows) => (
          <DataTable label={t.policy.purposes} columns={columns} rows={rows} rowKey={(p) => p.name} />
        )}
      </Loaded>
    </Block>
  );
}

const scheduled = (v: PolicyVersion) =>
  !v.withdrawn_at && (parseTime(v.effective_at)?.getTime() ?? 0) > Date.now();

function withdraw(v: PolicyVersion) {
  ask({
    title: t.policy.withdrawTitle(v.number),
    text: t.policy.withdrawText,
    confirm: t.policy.withdraw,
    danger: true,
    act: async () => {
      await must(
        api.DELETE('/v1/policy/versions/{id}', {
          params: { path: { id: v.number } },
        }),
      );
      await refresh();
      tell(t.policy.withdrawn(v.number));
    },
  });
}

const showText = (v: PolicyVersion) =>
  openForm(
    t.policy.textOf(v.number),
    () => (
      <Code block tabIndex={0}>
        {v.text}
      </Code>
    ),
    'lg',
  );

function Versions({ manage }: { manage: boolean }) {
  const query = useQuery(q.policyVersions);
  const columns: Column<PolicyVersion>[] = [
    { id: 'number', title: t.policy.number, lead: true, cell: (v) => <strong>{v.number}</strong> },
    {
      id: 'effective',
      title: t.policy.effective,
      cell: (v) => (v.withdrawn_at ? t.policy.isWithdrawn : <When at={v.effective_at} />),
    },
    { id: 'published', title: t.policy.author, cell: (v) => <When at={v.published_at} /> },
    { id: 'note', title: t.policy.noteColumn, wrap: true, grow: true, cell: (v) => v.note },
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (v) => (
        <Group gap="xs" justify="flex-end" wrap="nowrap">
          <Button size="compact-xs" variant="default" onClick={() => showText(v)}>
            {t.policy.show}
          </Button>
          {manage && scheduled(v) && (
            <Button size="compact-xs" variant="default" color="red" onClick={() => withdraw(v)}>
              {t.policy.withdraw}
            </Button>
          )}
        </Group>
      ),
    },
  ];
  return (
    <Block title={t.policy.versions} flush>
      <Loaded query={query}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty
              icon={<IconHistory size={22} />}
              title={t.policy.noVersions}
              text={t.policy.noVersionsText}
            />
          ) : (
            <DataTable
              label={t.policy.versions}
              columns={columns}
              rows={rows}
              rowKey={(v) => String(v.number)}
            />
          )
        }
      </Loaded>
    </Block>
  );
}

function Profiles() {
  const list = useQuery(q.policyProfiles).data ?? [];
  const [name, setName] = useState<string | null>(null);
  const chosen = list.find((p) => p.name === name);
  return (
    <Block title={t.policy.profiles} text={t.policy.profilesText}>
      <FormBox
        submit={t.policy.useProfile}
        onSubmit={() => (chosen ? review({ text: chosen.text }, () => setName(null)) : false)}
      >
        <Select
          label={t.policy.profile}
          value={name}
          maw={420}
          data={list.map((p) => p.name)}
          onChange={setName}
        />
        {chosen && <Text size="sm">{chosen.about}</Text>}
      </FormBox>
    </Block>
  );
}

function AsText({ policy }: { policy: InForce }) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState(policy.text);
  return (
    <Block
      title={t.policy.file}
      text={t.policy.fileText}
      aside={
        <Button size="compact-sm" variant="default" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? t.common.close : t.policy.show}
        </Button>
      }
    >
      <Collapse expanded={open}>
        <FormBox submit={t.policy.check} onSubmit={() => review({ text }, () => setOpen(false))}>
          <Textarea
            label={t.policy.fileLabel}
            value={text}
            autosize
            minRows={10}
            maxRows={28}
            spellCheck={false}
            styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
            onChange={(e) => setText(e.currentTarget.value)}
          />
        </FormBox>
      </Collapse>
    </Block>
  );
}

/** What the server obeys, its versions, and how to publish another. */
export function Policy() {
  const session = useQuery(q.session).data;
  const query = useQuery(q.policy);
  const manage = may(session, 'policy:manage');
  return (
    <Page title={t.policy.title} lead={query.data?.platform ? t.policy.lead : t.policy.leadOwn}>
      <Loaded query={query}>
        {(policy) => (
          <Stack gap="lg">
            {manage && (
              <Block title={t.policy.main} text={t.policy.mainText}>
                <Main policy={policy} />
              </Block>
            )}
            <Purposes manage={manage} platform={policy.platform} />
            <Versions manage={manage} />
            <Everything policy={policy} />
            {manage && policy.platform && <Profiles />}
            {manage && <AsText key={policy.label} policy={policy} />}
          </Stack>
        )}
      </Loaded>
    </Page>
  );
}
