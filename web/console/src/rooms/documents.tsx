import { Anchor, Text } from '@mantine/core';
import { IconFileText } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { q } from '../api/queries';
import type { DocumentState } from '../api/shapes';
import { may } from '../may';
import { Block, Empty, When } from '../parts/atoms';
import { RoomLink } from '../parts/link';
import { Page } from '../parts/page';
import { Loaded } from '../parts/problem';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';

function columns(manage: boolean): Column<DocumentState>[] {
  return [
    {
      id: 'title',
      title: t.documents.document,
      lead: true,
      wrap: true,
      cell: (d) => (
        <>
          {d.refused ? (
            <strong>{d.title}</strong>
          ) : (
            <RoomLink to="/documents/$kind" params={{ kind: d.document }} fw={600}>
              {d.title}
            </RoomLink>
          )}
          <Text size="xs" c="dimmed" fw={400}>
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
            {t.documents.version(d.newest.number)} <When at={d.newest.published_at} />
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
            title: t.documents.tabs.blocks,
            align: 'right' as const,
            cell: (d: DocumentState) => (d.marks > 0 ? t.documents.marksN(d.marks) : t.common.nothing),
          },
        ]
      : []),
  ];
}

/** What the server says of itself: how each document stands. */
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
