import { ActionIcon, Box, Button, CopyButton, Group, Text, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { t } from '../texts';
import css from './atoms.module.css';
import { exactTime, nearTime, parseTime, utcTime } from './format';

/** A time as people say it; the title gives the exact one in UTC. */
export function When({ at, exact, none }: { at?: string | null; exact?: boolean; none?: string }) {
  const date = parseTime(at);
  if (!date) return <span className={css.quiet}>{none ?? t.common.nothing}</span>;
  return (
    <time dateTime={date.toISOString()} title={t.common.utc(utcTime(date))} className={css.number}>
      {exact ? exactTime(date) : nearTime(date, new Date())}
    </time>
  );
}

const tone: Record<string, string> = {
  delivered: 'good',
  met: 'good',
  late: 'bad',
  running: 'wait',
  verified: 'good',
  kept: 'good',
  found: 'good',
  attested: 'good',
  active: 'good',
  queued: 'live',
  ready: 'live',
  leased: 'live',
  deferred: 'wait',
  pending: 'wait',
  mixed: 'wait',
  paused: 'wait',
  suspended: 'wait',
  different: 'wait',
  failed: 'bad',
  failing: 'bad',
  overdue: 'bad',
  expired: 'bad',
  missing: 'bad',
  held: 'hold',
  holds: 'hold',
  open: 'live',
  accepted: 'live',
  extended: 'wait',
  unproved: 'wait',
  answered: 'good',
  acknowledged: 'good',
  settled: 'good',
  unanswered: 'bad',
  valid: 'good',
  ending: 'wait',
  over: 'bad',
  mending: 'wait',
  mended: 'good',
  narrowed: 'wait',
  complied: 'good',
  live: 'live',
  stands: 'bad',
  seen: 'wait',
  cleared: 'good',
};

/** A state in words, with a dot of its colour: never colour alone. */
export function State({ state }: { state: string }) {
  return (
    <span className={css.state}>
      <Dot tone={tone[state] ?? 'calm'} />
      {t.state[state] ?? state}
    </span>
  );
}

/** A dot of a colour; words beside it say the same. */
export function Dot({ tone }: { tone: string }) {
  return <span className={css.dot} data-tone={tone} aria-hidden />;
}

export function CopyIcon({ value, label }: { value: string; label: string }) {
  return (
    <CopyButton value={value} timeout={1600}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? t.common.copied : label}>
          <ActionIcon
            variant="subtle"
            color="gray"
            size="sm"
            onClick={copy}
            aria-label={copied ? t.common.copied : label}
          >
            {copied ? <IconCheck size={15} /> : <IconCopy size={15} />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

/** A line of code or a secret with a button to copy it. */
export function CopyLine({ value, label, wrap }: { value: string; label: string; wrap?: boolean }) {
  return (
    <div className={css.line}>
      {wrap ? (
        <code className={css.code} data-wrap>
          {value}
        </code>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        <code className={css.code} tabIndex={0} role="group" aria-label={label}>
          {value}
        </code>
      )}
      <CopyButton value={value} timeout={1600}>
        {({ copied, copy }) => (
          <Button
            size="compact-xs"
            variant="default"
            onClick={copy}
            aria-label={t.common.copyOf(label)}
            leftSection={copied ? <IconCheck size={13} /> : <IconCopy size={13} />}
          >
            {copied ? t.common.copied : t.common.copy}
          </Button>
        )}
      </CopyButton>
    </div>
  );
}

export function Empty({
  icon,
  title,
  text,
  action,
}: {
  icon: ReactNode;
  title: string;
  text: string;
  action?: ReactNode;
}) {
  return (
    <div className={css.empty}>
      <div className={css.emptyIcon} aria-hidden>
        {icon}
      </div>
      <Text fw={600} size="md">
        {title}
      </Text>
      <Text c="dimmed" size="sm" maw={440} ta="center">
        {text}
      </Text>
      {action && <Box mt="sm">{action}</Box>}
    </div>
  );
}

/** A bordered block with a heading of its own. */
export function Block({
  title,
  text,
  aside,
  children,
  flush,
}: {
  title?: string;
  text?: string;
  aside?: ReactNode;
  children: ReactNode;
  flush?: boolean;
}) {
  return (
    <section className={css.block} aria-label={title}>
      {title && (
        <Group justify="space-between" align="flex-start" className={css.blockHead} gap="sm">
          <div>
            <h2 className={css.h2}>{title}</h2>
            {text && (
              <Text c="dimmed" size="sm">
                {text}
              </Text>
            )}
          </div>
          {aside}
        </Group>
      )}
      <div className={flush ? undefined : css.blockBody}>{children}</div>
    </section>
  );
}

/** Name and value pairs. */
export function Facts({ items }: { items: [string, ReactNode][] }) {
  return (
    <dl className={css.facts}>
      {items.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
