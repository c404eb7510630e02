import { Button, FileInput, Group, Select, Text, Textarea, TextInput } from '@mantine/core';
import { IconCertificate, IconPlus } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, bytes, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Attestation } from '../api/shapes';
import { may } from '../may';
import { ask, openForm, tell } from '../parts/ask';
import { Block, Empty, State, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { dayFromNow, size } from '../parts/format';
import { useNames } from '../parts/names';
import { Page } from '../parts/page';
import { saveAs } from '../parts/reader';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

const refresh = () =>
  Promise.all([
    queryClient.invalidateQueries({ queryKey: ['attestations'] }),
    queryClient.invalidateQueries({ queryKey: ['overview'] }),
  ]);
const kindOf = (a: Attestation) => t.attestations.kinds[a.kind] ?? a.kind;
const counts = (a: Attestation) => a.state !== 'withdrawn' && a.state !== 'over';

/** Those of a person; the others are about a company or a place. */
const ofPerson = new Set(['training', 'screening', 'secrecy']);
const maxFile = 4 * 1024 * 1024;

function withdraw(a: Attestation, about: string) {
  ask({
    title: t.attestations.withdrawOf(kindOf(a), about),
    text: t.attestations.withdrawText,
    confirm: t.attestations.withdraw,
    danger: true,
    act: async () => {
      await must(api.POST('/v1/attestations/{id}/withdraw', { params: { path: { id: a.id } } }));
      await refresh();
      tell(t.attestations.withdrawn);
    },
  });
}

function Evidence({ of: a }: { of: Attestation }) {
  const { file } = a;
  if (!file) return t.common.nothing;
  return (
    <Button
      size="compact-sm"
      variant="default"
      aria-label={t.attestations.fileOf(file.name, size(file.size))}
      title={file.name}
      onClick={async () => saveAs(await bytes(`/v1/attestations/${a.id}/file`), file.name)}
    >
      {size(file.size)}
    </Button>
  );
}

/** What people attest: with its end, on what it rests, and withdrawing it. */
export function Attestations() {
  const manage = may(useQuery(q.session).data, 'assurance:manage');
  const query = useInfiniteQuery(q.attestations);
  const names = useNames();
  const about = (a: Attestation) => a.subject || names.user(a.user) || t.common.nothing;
  const columns: Column<Attestation>[] = [
    {
      id: 'kind',
      title: t.attestations.kind,
      lead: true,
      wrap: true,
      cell: (a) => (
        <>
          <strong>{kindOf(a)}</strong>
          {a.note && (
            <Text size="xs" c="dimmed">
              {a.note}
            </Text>
          )}
        </>
      ),
    },
    { id: 'about', title: t.attestations.about, wrap: true, cell: about },
    { id: 'state', title: t.common.state, cell: (a) => <State state={a.state} /> },
    { id: 'issued', title: t.attestations.issued, cell: (a) => <When at={a.issued_at} /> },
    { id: 'until', title: t.attestations.until, cell: (a) => <When at={a.withdrawn_at ?? a.until} /> },
    { id: 'file', title: t.attestations.file, cell: (a) => <Evidence of={a} /> },
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (a) =>
        manage && counts(a) ? (
          <Button
            size="compact-sm"
            variant="default"
            aria-label={t.attestations.withdrawOf(kindOf(a), about(a))}
            onClick={() => withdraw(a, about(a))}
          >
            {t.attestations.withdraw}
          </Button>
        ) : null,
    },
  ];
  return (
    <Page
      title={t.attestations.title}
      lead={t.attestations.lead}
      actions={
        manage && (
          <Button
            leftSection={<IconPlus size={16} />}
            onClick={() => openForm(t.attestations.add, (close) => <Attest close={close} />)}
          >
            {t.attestations.add}
          </Button>
        )
      }
    >
      <Block flush>
        <PagedTable
          label={t.attestations.title}
          query={query}
          columns={columns}
          rowKey={(a) => a.id}
          empty={
            <Empty
              icon={<IconCertificate size={22} />}
              title={t.attestations.empty}
              text={t.attestations.emptyText}
            />
          }
        />
      </Block>
    </Page>
  );
}

/** The bytes of a file as the API takes them. */
async function base64(file: File): Promise<string> {
  let binary = '';
  const octets = new Uint8Array(await file.arrayBuffer());
  for (let i = 0; i < octets.length; i += 0x8000) {
    binary += String.fromCharCode(...octets.subarray(i, i + 0x8000));
  }
  return btoa(binary);
}

function Attest({ close }: { close: () => void }) {
  const { colleagues } = useNames();
  const [kind, setKind] = useState('training');
  const [user, setUser] = useState<string | null>(null);
  const [subject, setSubject] = useState('');
  const [issued, setIssued] = useState(dayFromNow(0));
  const [until, setUntil] = useState(dayFromNow(365));
  const [note, setNote] = useState('');
  const [file, setFile] = useState<File | null>(null);
  const [tried, setTried] = useState(false);
  const person = ofPerson.has(kind);
  const noSubject = !person && !subject.trim();
  const noUser = person && !user;
  const tooLarge = (file?.size ?? 0) > maxFile;
  return (
    <FormBox
      submit={t.attestations.add}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (noSubject || noUser || !until || tooLarge) return false;
        return send();
      }}
    >
      <Select
        label={t.attestations.kind}
        data={Object.entries(t.attestations.kinds).map(([value, label]) => ({ value, label }))}
        value={kind}
        onChange={(v) => setKind(v ?? 'training')}
        data-autofocus
      />
      {person ? (
        <Select
          label={t.attestations.user}
          data={colleagues}
          value={user}
          onChange={setUser}
          error={tried && noUser ? t.attestations.needUser : null}
        />
      ) : (
        <TextInput
          label={t.attestations.subject}
          description={t.attestations.subjectHelp}
          value={subject}
          maxLength={200}
          onChange={(e) => setSubject(e.currentTarget.value)}
          error={tried && noSubject ? t.attestations.needSubject : null}
        />
      )}
      <Group grow align="flex-start">
        <TextInput
          label={t.attestations.issued}
          type="date"
          value={issued}
          onChange={(e) => setIssued(e.currentTarget.value)}
        />
        <TextInput
          label={t.attestations.until}
          type="date"
          value={until}
          min={dayFromNow(1)}
          onChange={(e) => setUntil(e.currentTarget.value)}
          error={tried && !until ? t.attestations.needUntil : null}
        />
      </Group>
      <FileInput
        label={t.attestations.file}
        description={t.attestations.fileHelp}
        placeholder={t.attestations.fileNone}
        value={file}
        onChange={setFile}
        clearable
        clearButtonProps={{ 'aria-label': t.common.remove }}
        error={tooLarge ? t.attestations.tooLarge : null}
      />
      <Textarea
        label={t.attestations.note}
        description={t.attestations.noteHelp}
        autosize
        minRows={2}
        maxLength={2000}
        value={note}
        onChange={(e) => setNote(e.currentTarget.value)}
      />
    </FormBox>
  );

  async function send() {
    const body = {
      kind: kind as 'training',
      ...(person ? { user: user ?? undefined } : { subject: subject.trim() }),
      note: note.trim() || undefined,
      // The day itself counts; today it counts from this moment on.
      issued_at: issued && issued !== dayFromNow(0) ? `${issued}T00:00:00Z` : undefined,
      until: `${until}T23:59:59Z`,
      ...(file && { file: await base64(file), file_name: file.name, file_type: file.type || undefined }),
    };
    await must(api.POST('/v1/attestations', { body }));
    await refresh();
    close();
    tell(t.attestations.added);
  }
}
