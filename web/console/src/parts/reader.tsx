import { Alert, Button, ScrollArea, Table, Tabs, Text } from '@mantine/core';
import { IconDownload, IconPaperclip, IconPhotoOff } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { bytes } from '../api/client';
import type { Attachment, Header } from '../api/shapes';
import { styleNonce } from '../nonce';
import { t } from '../texts';
import { size } from './format';
import { ProblemNote, Waiting } from './problem';
import css from './reader.module.css';
import { contentId, safeDocument } from './sanitise';

export type Readable = {
  html?: string;
  text?: string;
  headers?: Header[] | null;
  attachments?: Attachment[] | null;
};

type ReaderProps = {
  message: Readable;
  /** Loads the source when its tab is opened. */
  source: { key: readonly unknown[]; load: (signal: AbortSignal) => Promise<string> };
  /** The path of an attachment's bytes; none where the API does not give them. */
  pathOf?: (attachment: Attachment) => string;
  downloadName: string;
};

/** One message in tabs: what the recipient sees, and everything behind it. */
export function Reader({ message, source, pathOf, downloadName }: ReaderProps) {
  const attachments = message.attachments ?? [];
  const [tab, setTab] = useState<string | null>(message.html ? 'html' : 'text');
  return (
    <Tabs value={tab} onChange={setTab} keepMounted={false} className={css.tabs}>
      <ScrollArea type="never">
        <Tabs.List aria-label={t.reader.tabs} className={css.list}>
          <Tabs.Tab value="html">{t.reader.html}</Tabs.Tab>
          <Tabs.Tab value="text">{t.reader.text}</Tabs.Tab>
          <Tabs.Tab value="headers">{t.reader.headers}</Tabs.Tab>
          <Tabs.Tab value="attachments">
            {attachments.length ? t.reader.attachmentsN(attachments.length) : t.reader.attachments}
          </Tabs.Tab>
          <Tabs.Tab value="source">{t.reader.source}</Tabs.Tab>
        </Tabs.List>
      </ScrollArea>
      <Tabs.Panel value="html" className={css.panel}>
        {message.html ? (
          <Html html={message.html} attachments={attachments} pathOf={pathOf} />
        ) : (
          <None text={t.reader.noHtml} />
        )}
      </Tabs.Panel>
      <Tabs.Panel value="text" className={css.panel}>
        {message.text ? <Pre text={message.text} label={t.reader.text} /> : <None text={t.reader.noText} />}
      </Tabs.Panel>
      <Tabs.Panel value="headers" className={css.panel}>
        <Headers headers={message.headers ?? []} />
      </Tabs.Panel>
      <Tabs.Panel value="attachments" className={css.panel}>
        <Attachments attachments={attachments} pathOf={pathOf} />
      </Tabs.Panel>
      <Tabs.Panel value="source" className={css.panel}>
        <Source source={source} name={downloadName} />
      </Tabs.Panel>
    </Tabs>
  );
}

function None({ text }: { text: string }) {
  return (
    <Text c="dimmed" size="sm" p="lg">
      {text}
    </Text>
  );
}

function Pre({ text, label }: { text: string; label: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <pre className={css.pre} tabIndex={0} role="region" aria-label={label}>
      {text}
    </pre>
  );
}

/** Pictures that the message brings along, as data: the frame may load nothing itself. */
function useInlined(attachments: Attachment[], pathOf?: (a: Attachment) => string) {
  const pictures = attachments.filter(
    (a) => a.content_id && /^image\/(png|jpe?g|gif|webp)$/i.test(a.content_type) && a.size < 2_000_000,
  );
  return useQuery({
    queryKey: ['inlined', pictures.map((a) => pathOf?.(a))],
    enabled: pictures.length > 0 && pathOf !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => {
      const found = new Map<string, string>();
      for (const a of pictures.slice(0, 40)) {
        if (!pathOf) break;
        const blob = await bytes(pathOf(a), signal).catch(() => null);
        if (blob) found.set(contentId(a.content_id ?? ''), await dataUrl(blob, a.content_type));
      }
      return found;
    },
  }).data;
}

function dataUrl(blob: Blob, type: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(new Blob([blob], { type }));
  });
}

function Html({
  html,
  attachments,
  pathOf,
}: {
  html: string;
  attachments: Attachment[];
  pathOf?: (a: Attachment) => string;
}) {
  const inlined = useInlined(attachments, pathOf);
  const safe = useMemo(() => safeDocument(html, { nonce: styleNonce, inlined }), [html, inlined]);
  return (
    <div className={css.html}>
      {safe.blocked > 0 && (
        <div className={css.blocked} role="note">
          <IconPhotoOff size={16} aria-hidden />
          {t.reader.blocked(safe.blocked)}
        </div>
      )}
      <iframe
        title={t.reader.frame}
        sandbox=""
        referrerPolicy="no-referrer"
        srcDoc={safe.document}
        className={css.frame}
      />
    </div>
  );
}

export function Headers({ headers }: { headers: Header[] }) {
  if (headers.length === 0) return <None text={t.message.noHeaders} />;
  return (
    <div className={css.headers}>
      <Table layout="fixed" verticalSpacing={6}>
        <colgroup>
          <col className={css.nameColumn} />
          <col />
        </colgroup>
        <Table.Thead className={css.headersHead}>
          <Table.Tr>
            <Table.Th className={css.headerName}>{t.reader.header}</Table.Th>
            <Table.Th>{t.reader.value}</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {headers.map((h, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: headers repeat, and their order never changes
            <Table.Tr key={i}>
              <Table.Th scope="row" className={css.headerName}>
                {h.name}
              </Table.Th>
              <Table.Td className={css.headerValue}>{h.value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

function Attachments({
  attachments,
  pathOf,
}: {
  attachments: Attachment[];
  pathOf?: (a: Attachment) => string;
}) {
  if (attachments.length === 0) return <None text={t.reader.noAttachments} />;
  return (
    <ul className={css.files}>
      {attachments.map((a, i) => {
        const name = a.filename || t.reader.unnamed;
        return (
          <li key={a.id ?? a.index ?? i} className={css.file}>
            <IconPaperclip size={17} aria-hidden />
            <div className={css.fileText}>
              <Text size="sm" fw={550} className={css.fileName}>
                {name}
              </Text>
              <Text size="xs" c="dimmed">
                {`${a.content_type} · ${size(a.size)}`}
              </Text>
            </div>
            {pathOf && <Save path={pathOf(a)} name={name} label={t.reader.downloadOf(name)} />}
          </li>
        );
      })}
    </ul>
  );
}

/** Hands bytes to the browser as a download, whatever their type says. */
export function saveAs(blob: Blob, name: string) {
  const url = URL.createObjectURL(new Blob([blob], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function Save({ path, name, label }: { path: string; name: string; label: string }) {
  const save = useMutation({ mutationFn: async () => saveAs(await bytes(path), name) });
  return (
    <>
      <Button
        variant="default"
        size="compact-sm"
        aria-label={label}
        leftSection={<IconDownload size={14} />}
        loading={save.isPending}
        onClick={() => save.mutate()}
      >
        {t.common.download}
      </Button>
      {save.isError && <ProblemNote error={save.error} />}
    </>
  );
}

function Source({ source, name }: { source: ReaderProps['source']; name: string }) {
  const query = useQuery({
    queryKey: source.key,
    queryFn: ({ signal }) => source.load(signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (query.error) return <ProblemNote error={query.error} retry={() => query.refetch()} />;
  if (query.data === undefined) return <Waiting />;
  const long = query.data.length > 400_000;
  return (
    <>
      <div className={css.sourceBar}>
        <Button
          variant="default"
          size="compact-sm"
          leftSection={<IconDownload size={14} />}
          onClick={() => saveAs(new Blob([query.data]), name)}
        >
          {t.reader.downloadSource}
        </Button>
      </div>
      {long && <Alert variant="light">{t.reader.sourceCut}</Alert>}
      <Pre text={long ? query.data.slice(0, 400_000) : query.data} label={t.reader.source} />
    </>
  );
}
