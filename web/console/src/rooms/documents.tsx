import { Anchor, Button, Group, Stack, Switch, Text, TextInput } from '@mantine/core';
import { IconFileText } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { DocumentDraft, DocumentState } from '../api/shapes';
import { may } from '../may';
import { openForm, tell } from '../parts/ask';
import { Block, Empty, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { Page } from '../parts/page';
import { Loaded } from '../parts/problem';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';

const refresh = () => queryClient.invalidateQueries({ queryKey: ['documents'] });
const at = (kind: string) => ({ params: { path: { kind } } });

/** Gives a file of the answer to the browser. */
function save(name: string, base64: string, type: string) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

async function fetchCopy(kind: string) {
  const made = await must(api.GET('/v1/documents/{kind}/copy', at(kind)));
  save(`${kind}.pdf`, made.pdf, 'application/pdf');
  save(`${kind}.note`, made.note, 'text/plain');
}

async function review(d: DocumentState) {
  const draft = await must(api.GET('/v1/documents/{kind}/draft', at(d.document)));
  openForm(
    t.documents.publishTitle(d.title),
    (close) => <Publish of={d} draft={draft} close={close} />,
    'lg',
  );
}

/** What is marked, and what shall become of it. */
function Publish({ of, draft, close }: { of: DocumentState; draft: DocumentDraft; close: () => void }) {
  const [note, setNote] = useState('');
  const [leaveOut, setLeaveOut] = useState(false);
  const [anyway, setAnyway] = useState('');
  return (
    <FormBox
      submit={t.documents.publish}
      cancel={close}
      onSubmit={async () => {
        const made = await must(
          api.POST('/v1/documents/{kind}/versions', {
            ...at(of.document),
            body: { note, leave_out: leaveOut, anyway },
          }),
        );
        await refresh();
        tell(t.documents.published(made.number));
        close();
      }}
    >
      {draft.marks.length === 0 ? (
        <Text size="sm">{t.documents.nothingMarked}</Text>
      ) : (
        <>
          <Text size="sm">{t.documents.marked(draft.marks.length)}</Text>
          <Stack gap="xs" component="ul" pl={0} m={0} style={{ listStyle: 'none' }}>
            {draft.marks.map((m) => (
              <li key={`${m.rests_on} ${m.under} ${m.text}`}>
                <Text size="sm">{m.text}</Text>
                <Text size="xs" c="dimmed">
                  <code>{m.rests_on}</code>: {m.status ? (t.state[m.status] ?? m.status) : t.documents.notSet}
                </Text>
              </li>
            ))}
          </Stack>
          <Switch
            label={t.documents.leaveOut}
            checked={leaveOut}
            onChange={(e) => setLeaveOut(e.currentTarget.checked)}
          />
          <TextInput
            label={t.documents.anyway}
            description={t.documents.anywayText}
            value={anyway}
            maxLength={500}
            onChange={(e) => setAnyway(e.currentTarget.value)}
          />
        </>
      )}
      <TextInput
        label={t.documents.note}
        value={note}
        maxLength={500}
        onChange={(e) => setNote(e.currentTarget.value)}
      />
    </FormBox>
  );
}

function columns(manage: boolean): Column<DocumentState>[] {
  return [
    {
      id: 'title',
      title: t.documents.document,
      lead: true,
      wrap: true,
      grow: true,
      cell: (d) => (
        <>
          <strong>{d.title}</strong>
          <Text size="xs" c="dimmed">
            {d.refused || d.about}
          </Text>
        </>
      ),
    },
    {
      id: 'newest',
      title: t.documents.newest,
      wrap: true,
      cell: (d) =>
        d.newest ? (
          <>
            {d.public ? (
              <Anchor size="sm" href={`/trust/${d.document}/${d.newest.number}`}>
                {t.documents.version(d.newest.number)}
              </Anchor>
            ) : (
              t.documents.version(d.newest.number)
            )}{' '}
            <When at={d.newest.published_at} />
            {d.changed && (
              <Text size="xs" c="dimmed">
                {t.documents.changed}
              </Text>
            )}
          </>
        ) : (
          t.documents.never
        ),
    },
    ...(manage
      ? [
          {
            id: 'marks',
            title: t.documents.marks,
            cell: (d: DocumentState) => (d.marks > 0 ? d.marks : t.common.nothing),
          },
        ]
      : []),
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (d) =>
        d.refused ? null : (
          <Group gap="xs" justify="flex-end" wrap="nowrap">
            {(d.public || manage) && (
              <Button
                size="compact-xs"
                variant="default"
                aria-label={t.documents.copyOf(d.title)}
                onClick={() => fetchCopy(d.document)}
              >
                {t.documents.copy}
              </Button>
            )}
            {manage && (
              <Button
                size="compact-xs"
                variant="default"
                aria-label={t.documents.publishTitle(d.title)}
                onClick={() => review(d)}
              >
                {t.documents.publish}
              </Button>
            )}
          </Group>
        ),
    },
  ];
}

/** What the server says of itself: how each document stands, copies, and publishing. */
export function Documents() {
  const session = useQuery(q.session).data;
  const query = useQuery(q.documents);
  const manage = may(session, 'platform:manage');
  return (
    <Page title={t.documents.title} lead={manage ? t.documents.lead : t.documents.leadOwn}>
      <Block flush>
        <Loaded query={query}>
          {(rows) =>
            rows.length === 0 ? (
              <Empty icon={<IconFileText size={22} />} title={t.documents.never} text={t.documents.lead} />
            ) : (
              <DataTable
                label={t.documents.title}
                columns={columns(manage)}
                rows={rows}
                rowKey={(d) => d.document}
              />
            )
          }
        </Loaded>
      </Block>
      <Text size="sm" mt="md">
        <Anchor href="/trust">{t.documents.centre}</Anchor>
      </Text>
    </Page>
  );
}
