import {
  Alert,
  Anchor,
  Button,
  Checkbox,
  Group,
  Progress,
  Select,
  Stack,
  Tabs,
  Text,
  TextInput,
} from '@mantine/core';
import {
  IconCertificate,
  IconDownload,
  IconLock,
  IconPencil,
  IconUserSearch,
  IconUserX,
} from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { api, bytes, must } from '../api/client';
import { queryClient } from '../api/queries';
import type { SubjectFinding as Finding } from '../api/shapes';
import { ask, openForm, tell } from '../parts/ask';
import { Block, Empty, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { count } from '../parts/format';
import { Page } from '../parts/page';
import { ProblemNote, Waiting } from '../parts/problem';
import { saveAs } from '../parts/reader';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';
import { Holds } from './holds';
import { Attributes, Fold, given, KnownBy, type Who, type Words } from './known-by';
import { Requests } from './requests';
import css from './subject.module.css';
import { Told } from './told';

type Certificate = Record<string, unknown>;

const columns: Column<Finding>[] = [
  { id: 'category', title: t.subject.category, lead: true, cell: (f) => <strong>{f.category}</strong> },
  {
    id: 'place',
    title: t.subject.place,
    cell: (f) => <code>{f.holder}</code>,
  },
  { id: 'first', title: t.subject.first, cell: (f) => <When at={f.first} none={t.common.nothing} /> },
  { id: 'last', title: t.subject.last, cell: (f) => <When at={f.last} none={t.common.nothing} /> },
  { id: 'count', title: t.subject.count, align: 'right', cell: (f) => count(f.count) },
];

function saveJson(value: unknown, name: string) {
  saveAs(new Blob([JSON.stringify(value, null, 2)]), name);
}

const tabs = ['person', 'requests', 'holds', 'told'] as const;

export function SubjectRoom() {
  const { tab } = useSearch({ from: '/shell/subjects' });
  const navigate = useNavigate();
  const now = tabs.find((x) => x === tab) ?? 'person';
  return (
    <Page title={t.subject.title} lead={t.subject.lead}>
      <Tabs
        value={now}
        keepMounted={false}
        onChange={(v) =>
          navigate({ to: '/subjects', search: v && v !== 'person' ? { tab: v } : {}, replace: true })
        }
      >
        <Tabs.List mb="lg" className={css.tabs}>
          {tabs.map((x) => (
            <Tabs.Tab key={x} value={x}>
              {t.subject.tabs[x]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="person">
          <Person />
        </Tabs.Panel>
        <Tabs.Panel value="requests">
          <Requests />
        </Tabs.Panel>
        <Tabs.Panel value="holds">
          <Holds />
        </Tabs.Panel>
        <Tabs.Panel value="told">
          <Told />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

/** What is kept about one person, and what can be done about it. */
function Person() {
  const [address, setAddress] = useState('');
  const [tried, setTried] = useState(false);
  const [more, setMore] = useState<Words>({});
  const [certificate, setCertificate] = useState<{ of: string; value: Certificate } | null>(null);
  const bad = !/^[^\s@]+@[^\s@]+$/.test(address.trim());
  const find = useMutation({
    mutationFn: (who: Who) => must(api.POST('/v1/subjects/find', { body: who })),
  });
  return (
    <Stack gap="lg">
      <form
        noValidate
        onSubmit={(e) => {
          e.preventDefault();
          setTried(true);
          setCertificate(null);
          if (!bad) find.mutate({ address: address.trim(), identifiers: given(more) });
        }}
      >
        <div className={css.search}>
          <TextInput
            label={t.subject.address}
            placeholder={t.subject.placeholder}
            type="email"
            autoComplete="off"
            value={address}
            onChange={(e) => setAddress(e.currentTarget.value)}
            error={tried && bad ? t.subject.needAddress : null}
            className={css.input}
          />
          <Button type="submit" loading={find.isPending} className={css.find}>
            {t.subject.find}
          </Button>
        </div>
        <Fold label={t.subject.more}>
          <Text size="sm" c="dimmed" mb="sm">
            {t.subject.moreText}
          </Text>
          <KnownBy value={more} change={setMore} />
          <Button
            variant="default"
            size="compact-sm"
            mt="sm"
            onClick={() => openForm(t.subject.attributes, (close) => <Attributes close={close} />)}
          >
            {t.subject.attributes}
          </Button>
        </Fold>
      </form>
      {certificate ? (
        <CertificateView of={certificate.of} value={certificate.value} />
      ) : find.isPending ? (
        <Waiting text={t.subject.finding} />
      ) : find.isError ? (
        <ProblemNote error={find.error} />
      ) : find.data ? (
        <Found
          who={find.variables}
          findings={find.data.findings ?? []}
          erased={(value) => {
            setCertificate({ of: find.variables.address, value });
            find.reset();
            queryClient.invalidateQueries();
          }}
        />
      ) : (
        <Block>
          <Empty icon={<IconUserSearch size={22} />} title={t.subject.idle} text={t.subject.idleText} />
        </Block>
      )}
    </Stack>
  );
}

type FoundProps = { who: Who; findings: Finding[]; erased: (certificate: Certificate) => void };

function Found({ who, findings, erased }: FoundProps) {
  const address = who.address;
  const hand = useMutation({
    mutationFn: async () => {
      saveAs(await bytes('/v1/subjects/archive', undefined, who), 'subject-archive.zip');
      tell(t.subject.exported);
    },
  });
  const erase = () =>
    openForm(t.subject.eraseTitle(address), (close) => (
      <EraseForm
        who={who}
        close={close}
        erased={(value) => {
          close();
          erased(value);
        }}
      />
    ));
  const held = findings.filter((f) => f.count > 0);
  if (held.length === 0) {
    return (
      <Block title={t.subject.findingsOf(address)}>
        <Empty icon={<IconUserSearch size={22} />} title={t.subject.nothing} text={t.subject.nothingText} />
      </Block>
    );
  }
  return (
    <>
      {hand.isError && <ProblemNote error={hand.error} />}
      <Block
        flush
        title={t.subject.findingsOf(address)}
        aside={
          <Group gap="sm">
            <Button
              variant="default"
              leftSection={<IconDownload size={16} />}
              loading={hand.isPending}
              onClick={() => hand.mutate()}
            >
              {t.subject.export}
            </Button>
            <Button variant="default" leftSection={<IconPencil size={16} />} onClick={() => correct(who)}>
              {t.subject.correct}
            </Button>
            <Button variant="default" leftSection={<IconLock size={16} />} onClick={() => restrict(who)}>
              {t.subject.restrict}
            </Button>
            <Button color="red" leftSection={<IconUserX size={16} />} onClick={erase}>
              {t.subject.erase}
            </Button>
          </Group>
        }
      >
        <DataTable
          label={t.subject.findings}
          columns={columns}
          rows={held}
          rowKey={(f) => `${f.category} ${f.holder}`}
        />
      </Block>
    </>
  );
}

function restrict(who: Who) {
  const set = async (on: boolean) => {
    const { count: n } = await must(api.POST('/v1/subjects/restrict', { body: { ...who, on } }));
    tell(on ? t.subject.restricted(n) : t.subject.lifted(n));
    await queryClient.invalidateQueries({ queryKey: ['suppressions'] });
  };
  ask({
    title: t.subject.restrictTitle(who.address),
    text: t.subject.restrictText,
    confirm: t.subject.restrict,
    act: () => set(true),
    other: { label: t.subject.lift, act: () => set(false) },
  });
}

const correct = (who: Who) =>
  openForm(t.subject.correctTitle(who.address), (close) => <CorrectForm who={who} close={close} />);

function CorrectForm({ who, close }: { who: Who; close: () => void }) {
  const [field, setField] = useState('name');
  const [value, setValue] = useState('');
  const [tried, setTried] = useState(false);
  return (
    <FormBox
      submit={t.subject.correct}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (!value.trim()) return false;
        const body = { ...who, field, value: value.trim() };
        return must(api.POST('/v1/subjects/correct', { body })).then(({ count: n }) => {
          close();
          tell(t.subject.corrected(n));
        });
      }}
    >
      <Text size="sm">{t.subject.correctText}</Text>
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
        data-autofocus
      />
    </FormBox>
  );
}

const reasons = Object.entries(t.subject.reasons).map(([value, label]) => ({ value, label }));

type EraseProps = { who: Who; close: () => void; erased: (certificate: Certificate) => void };

function EraseForm({ who, close, erased }: EraseProps) {
  const address = who.address;
  const [reason, setReason] = useState('art17');
  const [away, setAway] = useState(false);
  const [again, setAgain] = useState('');
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const differs = again.trim().toLowerCase() !== address.toLowerCase();
  return (
    <FormBox
      submit={t.subject.erase}
      cancel={close}
      danger
      onSubmit={() => {
        setTried(true);
        if (differs) return false;
        setBusy(true);
        return must(api.POST('/v1/subjects/erase', { body: { ...who, reason, keep_away: away } }))
          .then((certificate) => {
            erased(certificate as Certificate);
            tell(t.subject.erased(address));
          })
          .finally(() => setBusy(false));
      }}
    >
      <Text size="sm">{t.subject.eraseText}</Text>
      <Select
        label={t.subject.reason}
        description={t.subject.reasonHelp}
        data={reasons}
        value={reason}
        onChange={(v) => setReason(v ?? 'art17')}
      />
      <Checkbox
        label={t.subject.keepAway}
        description={t.subject.keepAwayHelp}
        checked={away}
        onChange={(e) => setAway(e.currentTarget.checked)}
      />
      <TextInput
        label={t.subject.confirm}
        placeholder={address}
        value={again}
        onChange={(e) => setAgain(e.currentTarget.value)}
        error={tried && differs ? t.subject.mustMatch : null}
        autoComplete="off"
        spellCheck={false}
      />
      {busy && (
        <div role="status">
          <Text size="sm" c="dimmed" mb={6}>
            {t.subject.erasing}
          </Text>
          <Progress value={100} animated aria-label={t.subject.erasing} />
        </div>
      )}
    </FormBox>
  );
}

function CertificateView({ of, value }: { of: string; value: Certificate }) {
  const json = JSON.stringify(value, null, 2);
  return (
    <Block
      title={t.subject.certificate}
      aside={
        <Button
          leftSection={<IconDownload size={16} />}
          onClick={() => saveJson(value, 'erasure-certificate.json')}
        >
          {t.subject.download}
        </Button>
      }
    >
      <Stack gap="md">
        <Alert variant="light" color="teal" icon={<IconCertificate size={18} />} title={t.subject.erased(of)}>
          {t.subject.certificateText}{' '}
          <Anchor href="/certificate" target="_blank" inherit underline="always">
            {t.subject.verifyHere}
          </Anchor>
        </Alert>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
        <pre className={css.certificate} tabIndex={0} role="group" aria-label={t.subject.certificate}>
          {json}
        </pre>
      </Stack>
    </Block>
  );
}
