import { Button, Group, Select, Text, Textarea, TextInput } from '@mantine/core';
import { IconBug, IconPlus } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Weakness } from '../api/shapes';
import { may } from '../may';
import { openForm, tell } from '../parts/ask';
import { Block, Dot, Empty, State, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { dayFromNow } from '../parts/format';
import { useNames } from '../parts/names';
import { Page } from '../parts/page';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

const refresh = () =>
  Promise.all([
    queryClient.invalidateQueries({ queryKey: ['findings'] }),
    queryClient.invalidateQueries({ queryKey: ['overview'] }),
  ]);
const choices = (texts: Record<string, string>) =>
  Object.entries(texts).map(([value, label]) => ({ value, label }));
const tones: Record<string, string> = { critical: 'bad', high: 'bad', medium: 'wait', low: 'calm' };
/** What may become of it. */
const moves: Record<Weakness['state'], string[]> = {
  open: ['mending', 'mended', 'dismissed'],
  mending: ['mended', 'dismissed', 'open'],
  mended: ['open'],
  dismissed: ['open'],
};

function Severity({ of: w }: { of: Weakness }) {
  return (
    <Group gap={8} wrap="nowrap" component="span">
      <Dot tone={tones[w.severity] ?? 'calm'} />
      {t.findings.severities[w.severity] ?? w.severity}
    </Group>
  );
}

/** Weaknesses until they are mended: deadline, who mends them, and what became of them. */
export function Findings() {
  const manage = may(useQuery(q.session).data, 'assurance:manage');
  const query = useInfiniteQuery(q.findings);
  const names = useNames();
  const columns: Column<Weakness>[] = [
    {
      id: 'what',
      title: t.findings.what,
      lead: true,
      wrap: true,
      cell: (w) => (
        <>
          <strong>{w.title}</strong>
          {(w.reason || w.detail) && (
            <Text size="xs" c="dimmed" lineClamp={3}>
              {w.reason || w.detail}
            </Text>
          )}
        </>
      ),
    },
    { id: 'severity', title: t.findings.severity, cell: (w) => <Severity of={w} /> },
    { id: 'source', title: t.findings.source, cell: (w) => t.findings.sources[w.source] ?? w.source },
    { id: 'state', title: t.common.state, cell: (w) => <State state={w.overdue ? 'overdue' : w.state} /> },
    { id: 'due', title: t.findings.due, cell: (w) => <When at={w.due_at} /> },
    { id: 'owner', title: t.findings.owner, cell: (w) => names.user(w.owner) ?? t.findings.noOwner },
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (w) =>
        manage ? (
          <Button
            size="compact-sm"
            variant="default"
            aria-label={t.findings.moveOf(w.title)}
            onClick={() => openForm(t.findings.moveOf(w.title), (close) => <Move of={w} close={close} />)}
          >
            {t.findings.move}
          </Button>
        ) : null,
    },
  ];
  return (
    <Page
      title={t.findings.title}
      lead={t.findings.lead}
      actions={
        manage && (
          <Button
            leftSection={<IconPlus size={16} />}
            onClick={() => openForm(t.findings.add, (close) => <Enter close={close} />)}
          >
            {t.findings.add}
          </Button>
        )
      }
    >
      <Block flush>
        <PagedTable
          label={t.findings.title}
          query={query}
          columns={columns}
          rowKey={(w) => w.id}
          empty={<Empty icon={<IconBug size={22} />} title={t.findings.empty} text={t.findings.emptyText} />}
        />
      </Block>
    </Page>
  );
}

function Enter({ close }: { close: () => void }) {
  const { colleagues } = useNames();
  const [title, setTitle] = useState('');
  const [severity, setSeverity] = useState('high');
  const [source, setSource] = useState('test');
  const [found, setFound] = useState(dayFromNow(0));
  const [owner, setOwner] = useState<string | null>(null);
  const [detail, setDetail] = useState('');
  const [tried, setTried] = useState(false);
  return (
    <FormBox
      submit={t.findings.add}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (!title.trim()) return false;
        const body = {
          title: title.trim(),
          severity: severity as Weakness['severity'],
          source: source as Weakness['source'],
          owner: owner ?? undefined,
          detail: detail.trim() || undefined,
          found_at: found && found !== dayFromNow(0) ? `${found}T00:00:00Z` : undefined,
        };
        return must(api.POST('/v1/findings', { body })).then(async () => {
          await refresh();
          close();
          tell(t.findings.added);
        });
      }}
    >
      <TextInput
        label={t.findings.what}
        value={title}
        maxLength={200}
        onChange={(e) => setTitle(e.currentTarget.value)}
        error={tried && !title.trim() ? t.findings.needTitle : null}
        data-autofocus
      />
      <Group grow align="flex-start">
        <Select
          label={t.findings.severity}
          data={choices(t.findings.severities)}
          value={severity}
          onChange={(v) => setSeverity(v ?? 'high')}
        />
        <Select
          label={t.findings.source}
          data={choices(t.findings.sources)}
          value={source}
          onChange={(v) => setSource(v ?? 'test')}
        />
      </Group>
      <Group grow align="flex-start">
        <TextInput
          label={t.findings.foundAt}
          type="date"
          value={found}
          max={dayFromNow(0)}
          onChange={(e) => setFound(e.currentTarget.value)}
        />
        <Select
          label={t.findings.owner}
          placeholder={t.findings.noOwner}
          data={colleagues}
          value={owner}
          onChange={setOwner}
          clearable
        />
      </Group>
      <Textarea
        label={t.findings.detail}
        description={t.findings.detailHelp}
        autosize
        minRows={3}
        maxLength={4000}
        value={detail}
        onChange={(e) => setDetail(e.currentTarget.value)}
      />
    </FormBox>
  );
}

function Move({ of: w, close }: { of: Weakness; close: () => void }) {
  const { colleagues } = useNames();
  const next = moves[w.state];
  const [state, setState] = useState(next[0] ?? 'open');
  const [owner, setOwner] = useState<string | null>(w.owner ?? null);
  const [reason, setReason] = useState('');
  const [tried, setTried] = useState(false);
  const closing = state === 'mended' || state === 'dismissed';
  const lacks = closing && !reason.trim();
  return (
    <FormBox
      submit={t.common.save}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (lacks) return false;
        const body = {
          state: state as Weakness['state'],
          owner: owner ?? undefined,
          reason: reason.trim() || undefined,
        };
        return must(api.POST('/v1/findings/{id}/move', { params: { path: { id: w.id } }, body })).then(
          async () => {
            await refresh();
            close();
            tell(t.findings.moved);
          },
        );
      }}
    >
      {w.detail && (
        <Text size="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
          {w.detail}
        </Text>
      )}
      <Select
        label={t.findings.becomes}
        data={next.map((value) => ({ value, label: t.findings.states[value] ?? value }))}
        value={state}
        onChange={(v) => setState(v ?? state)}
        data-autofocus
      />
      {state === 'mending' && (
        <Select label={t.findings.owner} data={colleagues} value={owner} onChange={setOwner} />
      )}
      <Textarea
        label={t.findings.reason}
        description={t.findings.reasonHelp}
        autosize
        minRows={2}
        maxLength={4000}
        value={reason}
        onChange={(e) => setReason(e.currentTarget.value)}
        error={tried && lacks ? t.findings.needReason : null}
      />
    </FormBox>
  );
}
