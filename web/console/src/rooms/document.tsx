import { Anchor, Button, Group, Menu, Stack, Switch, Tabs, Text, TextInput } from '@mantine/core';
import { IconDownload, IconFileText, IconLink } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type {
  DocumentCopy,
  DocumentDraft,
  DocumentMark,
  DocumentState,
  DocumentVersion,
} from '../api/shapes';
import { may } from '../may';
import { openForm, tell } from '../parts/ask';
import { Block, Empty, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { exactTime } from '../parts/format';
import { Page } from '../parts/page';
import { Paper } from '../parts/paper';
import css from '../parts/paper.module.css';
import { Loaded } from '../parts/problem';
import { saveAs } from '../parts/reader';
import { showSecret } from '../parts/secret';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';

const at = (kind: string) => ({ params: { path: { kind } } });
const refresh = () => queryClient.invalidateQueries({ queryKey: ['documents'] });
const octets = (base64: string) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const text = (base64: string) => new TextDecoder().decode(octets(base64));
const titleOf = (d: DocumentState | undefined, kind: string) => d?.title ?? kind;

type Form = keyof typeof t.documents.forms;
const media: Record<Form, [string, string]> = {
  html: ['html', 'text/html'],
  markdown: ['md', 'text/markdown'],
  pdf: ['pdf', 'application/pdf'],
  json: ['json', 'application/json'],
  note: ['note', 'text/plain'],
};
const forms = Object.keys(media) as Form[];

async function fetchCopy(kind: string, form: Form) {
  const made: DocumentCopy = await queryClient.fetchQuery(q.documentCopy(kind));
  const [ending, type] = media[form];
  saveAs(new Blob([octets(made[form])], { type }), `${kind}.${ending}`);
}

const tabs = ['preview', 'blocks', 'versions'] as const;

/** One document: how it reads, what keeps it from being published, and every version. */
export function DocumentRoom() {
  const { kind } = useParams({ from: '/shell/documents/$kind' });
  const { tab } = useSearch({ from: '/shell/documents/$kind' });
  const navigate = useNavigate();
  const session = useQuery(q.session).data;
  const manage = may(session, 'platform:manage');
  const state = useQuery(q.documents).data?.find((d) => d.document === kind);
  const draft = useQuery({ ...q.documentDraft(kind), enabled: manage });
  const title = titleOf(state, kind);
  const marks = draft.data?.marks.length ?? 0;
  const now = tabs.find((x) => x === tab && (manage || x !== 'blocks')) ?? 'preview';
  return (
    <Page
      title={title}
      lead={state?.about}
      back={{ to: '/documents', label: t.documents.back }}
      actions={<Acts kind={kind} of={state} draft={manage ? draft.data : undefined} />}
    >
      <Tabs
        value={now}
        keepMounted={false}
        onChange={(v) =>
          navigate({
            to: '/documents/$kind',
            params: { kind },
            search: v && v !== 'preview' ? { tab: v } : {},
            replace: true,
          })
        }
      >
        <Tabs.List mb="lg" className={css.tabs}>
          <Tabs.Tab value="preview">{t.documents.tabs.preview}</Tabs.Tab>
          {manage && (
            <Tabs.Tab value="blocks">
              {marks > 0 ? t.documents.blocked(marks) : t.documents.tabs.blocks}
            </Tabs.Tab>
          )}
          <Tabs.Tab value="versions">{t.documents.tabs.versions}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="preview">
          <Preview kind={kind} manage={manage} />
        </Tabs.Panel>
        <Tabs.Panel value="blocks">
          <Blocks kind={kind} />
        </Tabs.Panel>
        <Tabs.Panel value="versions">
          <Versions kind={kind} isPublic={state?.public ?? false} />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function Acts({ kind, of, draft }: { kind: string; of?: DocumentState; draft?: DocumentDraft }) {
  const title = titleOf(of, kind);
  return (
    <>
      {of && !of.public && draft && (
        <Button
          variant="default"
          leftSection={<IconLink size={16} />}
          onClick={() =>
            openForm(t.documents.linkTitle(title), (close) => <Admit kind={kind} close={close} />)
          }
        >
          {t.documents.link}
        </Button>
      )}
      {of && (of.public || draft) && (
        <Menu width={220}>
          <Menu.Target>
            <Button
              variant="default"
              leftSection={<IconDownload size={16} />}
              aria-label={t.documents.copyOf(title)}
            >
              {t.documents.copy}
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Label>{t.documents.copyText}</Menu.Label>
            {forms.map((f) => (
              <Menu.Item key={f} onClick={() => fetchCopy(kind, f)}>
                {t.documents.forms[f]}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
      {draft && (
        <Button
          onClick={() =>
            openForm(
              t.documents.publishTitle(title),
              (close) => <Publish kind={kind} draft={draft} close={close} />,
              'lg',
            )
          }
        >
          {t.documents.publish}
        </Button>
      )}
    </>
  );
}

/** The operator reads what would be published, a customer what holds for it. */
function Preview({ kind, manage }: { kind: string; manage: boolean }) {
  const draft = useQuery({ ...q.documentDraft(kind), enabled: manage });
  const copy = useQuery({ ...q.documentCopy(kind), enabled: !manage });
  return (
    <Block title={t.documents.tabs.preview} text={manage ? t.documents.previewText : t.documents.previewOwn}>
      {manage ? (
        <Loaded query={draft}>{(d) => <Paper html={d.html} />}</Loaded>
      ) : (
        <Loaded query={copy}>{(c) => <Paper html={text(c.html)} />}</Loaded>
      )}
    </Block>
  );
}

const blocks: Column<DocumentMark>[] = [
  { id: 'text', title: t.documents.sentence, lead: true, wrap: true, cell: (m) => m.text },
  { id: 'under', title: t.documents.under, wrap: true, cell: (m) => m.under },
  {
    id: 'rests',
    title: t.documents.restsOn,
    wrap: true,
    cell: (m) => (
      <>
        <code>{m.rests_on}</code>
        <Text size="xs" c="dimmed">
          {m.status ? (t.state[m.status] ?? m.status) : t.documents.notSet}
        </Text>
      </>
    ),
  },
];

function Blocks({ kind }: { kind: string }) {
  const draft = useQuery(q.documentDraft(kind));
  return (
    <Block flush title={t.documents.tabs.blocks} text={t.documents.blocksText}>
      <Loaded query={draft}>
        {(d) =>
          d.marks.length === 0 ? (
            <Text size="sm" p="md">
              {t.documents.nothingMarked}
            </Text>
          ) : (
            <DataTable
              label={t.documents.tabs.blocks}
              columns={blocks}
              rows={d.marks}
              rowKey={(m) => `${m.rests_on} ${m.under} ${m.text}`}
            />
          )
        }
      </Loaded>
    </Block>
  );
}

const files = ['pdf', 'md', 'json', 'note'] as const;

function Versions({ kind, isPublic }: { kind: string; isPublic: boolean }) {
  const query = useQuery(q.documentVersions(kind));
  const path = (v: DocumentVersion) => `/trust/${kind}/${v.number}`;
  const columns: Column<DocumentVersion>[] = [
    {
      id: 'number',
      title: t.documents.number,
      lead: true,
      cell: (v) => (isPublic ? <Anchor href={path(v)}>{v.number}</Anchor> : v.number),
    },
    { id: 'at', title: t.documents.published_at, cell: (v) => <When at={v.published_at} /> },
    { id: 'policy', title: t.documents.policyOf, cell: (v) => v.policy },
    { id: 'note', title: t.documents.noteColumn, wrap: true, cell: (v) => v.note || t.common.nothing },
    {
      id: 'despite',
      title: t.documents.despite,
      wrap: true,
      cell: (v) =>
        v.despite.length === 0 ? (
          t.common.nothing
        ) : (
          <>
            {v.despite.join(', ')}
            {v.reason && (
              <Text size="xs" c="dimmed">
                {v.reason}
              </Text>
            )}
          </>
        ),
    },
    ...(isPublic
      ? [
          {
            id: 'files',
            title: t.documents.files,
            cell: (v: DocumentVersion) => (
              <Group gap="xs">
                {files.map((f) => (
                  <Anchor
                    key={f}
                    size="sm"
                    href={`${path(v)}.${f}`}
                    aria-label={t.documents.fileOf(f, v.number)}
                  >
                    {f.toUpperCase()}
                  </Anchor>
                ))}
              </Group>
            ),
          },
        ]
      : []),
  ];
  return (
    <Block flush title={t.documents.tabs.versions}>
      <Loaded query={query}>
        {(list) =>
          list.length === 0 ? (
            <Empty
              icon={<IconFileText size={22} />}
              title={t.documents.noVersions}
              text={t.documents.noVersionsText}
            />
          ) : (
            <DataTable
              label={t.documents.tabs.versions}
              columns={columns}
              rows={list}
              rowKey={(v) => String(v.number)}
            />
          )
        }
      </Loaded>
    </Block>
  );
}

/** What is marked, and what shall become of it. */
function Publish({ kind, draft, close }: { kind: string; draft: DocumentDraft; close: () => void }) {
  const [note, setNote] = useState('');
  const [leaveOut, setLeaveOut] = useState(false);
  const [anyway, setAnyway] = useState('');
  return (
    <FormBox
      submit={t.documents.publish}
      cancel={close}
      onSubmit={async () => {
        const body = { note, leave_out: leaveOut, anyway };
        const made = await must(api.POST('/v1/documents/{kind}/versions', { ...at(kind), body }));
        await refresh();
        tell(t.documents.published(made.number));
        close();
      }}
    >
      {draft.marks.length === 0 ? (
        <Text size="sm">{t.documents.nothingMarked}</Text>
      ) : (
        <Stack gap="sm">
          <Text size="sm">{t.documents.marked(draft.marks.length)}</Text>
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
        </Stack>
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

function Admit({ kind, close }: { kind: string; close: () => void }) {
  const [days, setDays] = useState('30');
  const n = Number.parseInt(days, 10);
  const bad = !(n >= 1 && n <= 365);
  return (
    <FormBox
      submit={t.documents.link}
      cancel={close}
      onSubmit={() =>
        !bad &&
        must(api.POST('/v1/documents/{kind}/links', { ...at(kind), body: { days: n } })).then((made) => {
          close();
          showSecret(t.documents.madeLink, t.documents.madeLinkText(exactTime(new Date(made.until))), [
            { label: t.documents.madeLink, value: new URL(made.path, window.location.origin).href },
          ]);
        })
      }
    >
      <Text size="sm">{t.documents.linkText}</Text>
      <TextInput
        label={t.documents.days}
        type="number"
        min={1}
        max={365}
        value={days}
        onChange={(e) => setDays(e.currentTarget.value)}
      />
    </FormBox>
  );
}
