import { Alert, Button, Group, Progress, Stack, Text, TextInput } from '@mantine/core';
import { IconCertificate, IconDownload, IconUserSearch, IconUserX } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { queryClient } from '../api/queries';
import type { SubjectFindings } from '../api/shapes';
import { openForm, tell } from '../parts/ask';
import { Block, Empty } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { count } from '../parts/format';
import { Page } from '../parts/page';
import { ProblemNote, Waiting } from '../parts/problem';
import { saveAs } from '../parts/reader';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';
import css from './subject.module.css';

type Certificate = Record<string, unknown>;
type Finding = NonNullable<SubjectFindings['findings']>[number];

const columns: Column<Finding>[] = [
  { id: 'category', title: t.subject.category, lead: true, cell: (f) => <strong>{f.category}</strong> },
  {
    id: 'place',
    title: t.subject.place,
    cell: (f) => <code>{f.place ?? f.holder ?? t.common.nothing}</code>,
  },
  { id: 'note', wrap: true, title: t.subject.note, cell: (f) => f.note ?? t.common.nothing },
  { id: 'count', title: t.subject.count, align: 'right', cell: (f) => count(f.count) },
];

function saveJson(value: unknown, name: string) {
  saveAs(new Blob([JSON.stringify(value, null, 2)]), name);
}

export function SubjectRoom() {
  const [address, setAddress] = useState('');
  const [tried, setTried] = useState(false);
  const [certificate, setCertificate] = useState<{ of: string; value: Certificate } | null>(null);
  const bad = !/^[^\s@]+@[^\s@]+$/.test(address.trim());
  const find = useMutation({
    mutationFn: (a: string) => must(api.POST('/v1/subjects/find', { body: { address: a } })),
  });
  return (
    <Page title={t.subject.title} lead={t.subject.lead}>
      <Stack gap="lg">
        <form
          noValidate
          onSubmit={(e) => {
            e.preventDefault();
            setTried(true);
            setCertificate(null);
            if (!bad) find.mutate(address.trim());
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
        </form>
        {certificate ? (
          <CertificateView of={certificate.of} value={certificate.value} />
        ) : find.isPending ? (
          <Waiting text={t.subject.finding} />
        ) : find.isError ? (
          <ProblemNote error={find.error} />
        ) : find.data ? (
          <Found
            address={find.variables}
            findings={find.data.findings ?? []}
            erased={(value) => {
              setCertificate({ of: find.variables, value });
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
    </Page>
  );
}

type FoundProps = { address: string; findings: Finding[]; erased: (certificate: Certificate) => void };

function Found({ address, findings, erased }: FoundProps) {
  const hand = useMutation({
    mutationFn: async () => {
      saveJson(await must(api.POST('/v1/subjects/export', { body: { address } })), 'subject-export.json');
      tell(t.subject.exported);
    },
  });
  const erase = () =>
    openForm(t.subject.eraseTitle(address), (close) => (
      <EraseForm
        address={address}
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
          rowKey={(f) => `${f.category} ${f.place ?? ''}`}
        />
      </Block>
    </>
  );
}

type EraseProps = { address: string; close: () => void; erased: (certificate: Certificate) => void };

function EraseForm({ address, close, erased }: EraseProps) {
  const [reason, setReason] = useState('');
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
        if (differs || !reason.trim()) return false;
        setBusy(true);
        return must(api.POST('/v1/subjects/erase', { body: { address, reason: reason.trim() } }))
          .then((certificate) => {
            erased(certificate);
            tell(t.subject.erased(address));
          })
          .finally(() => setBusy(false));
      }}
    >
      <Text size="sm">{t.subject.eraseText}</Text>
      <TextInput
        label={t.subject.reason}
        placeholder={t.subject.reasonPlaceholder}
        value={reason}
        onChange={(e) => setReason(e.currentTarget.value)}
        error={tried && !reason.trim() ? t.subject.needReason : null}
        data-autofocus
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
          {t.subject.certificateText}
        </Alert>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
        <pre className={css.certificate} tabIndex={0} role="group" aria-label={t.subject.certificate}>
          {json}
        </pre>
      </Stack>
    </Block>
  );
}
