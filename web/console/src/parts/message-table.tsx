import { IconArrowDownLeft, IconArrowUpRight } from '@tabler/icons-react';
import type { MessageRow } from '../api/shapes';
import { t } from '../texts';
import { State, When } from './atoms';
import { size } from './format';
import { RoomLink } from './link';
import css from './message-table.module.css';
import { type Column, DataTable } from './table';

export function Direction({ direction }: { direction: string }) {
  const Icon = direction === 'inbound' ? IconArrowDownLeft : IconArrowUpRight;
  return (
    <span className={css.direction}>
      <Icon size={15} aria-hidden />
      {t.direction[direction] ?? direction}
    </span>
  );
}

/** A report that the house wrote has no subject in the record. */
export function titleOf(m: Pick<MessageRow, 'subject' | 'direction'>): string {
  return m.subject || (m.direction === 'notice' ? t.message.report : t.common.noSubject);
}

/** Nothing is kept of an inbound message's size. */
export function sizeOf(m: MessageRow): string {
  return m.size > 0 ? size(m.size) : t.common.nothing;
}

/** The first recipient where the server names it, and how many more there are. */
function recipientsOf(m: MessageRow): string {
  if (!m.recipient) return t.activity.recipients(m.recipients_count);
  return m.recipients_count > 1 ? t.activity.andMore(m.recipient, m.recipients_count - 1) : m.recipient;
}

export const messageColumns: Column<MessageRow>[] = [
  { id: 'state', title: t.common.state, cell: (m) => <State state={m.state} /> },
  {
    id: 'subject',
    title: t.common.subject,
    lead: true,
    grow: true,
    cell: (m) => (
      <RoomLink to="/activity/$id" params={{ id: m.id }} className={css.subject}>
        {titleOf(m)}
      </RoomLink>
    ),
  },
  {
    id: 'sender',
    title: t.common.from,
    clip: true,
    cell: (m) => <span className={css.sender}>{m.sender || t.common.noSender}</span>,
  },
  {
    id: 'recipients',
    title: t.common.to,
    clip: true,
    cell: (m) => recipientsOf(m),
  },
  {
    id: 'direction',
    title: t.activity.direction,
    wideOnly: true,
    cell: (m) => <Direction direction={m.direction} />,
  },
  { id: 'size', title: t.common.size, align: 'right', wideOnly: true, cell: (m) => sizeOf(m) },
  { id: 'received', title: t.common.received, align: 'right', cell: (m) => <When at={m.received_at} /> },
];

export function MessageTable({ rows, label }: { rows: MessageRow[]; label: string }) {
  return <DataTable label={label} columns={messageColumns} rows={rows} rowKey={(m) => m.id} />;
}
