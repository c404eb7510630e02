import {
  Alert,
  Anchor,
  Button,
  Group,
  SegmentedControl,
  SimpleGrid,
  Stack,
  Text,
  Tooltip,
} from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { lazy, type ReactNode, Suspense, useState } from 'react';
import { api, must } from '../api/client';
import { flat, q, queryClient } from '../api/queries';
import type { Counts, Overview as Data, OverviewAlert, PolicyNotice, Start } from '../api/shapes';
import { may } from '../may';
import { Block, CopyLine, When } from '../parts/atoms';
import { count, percent } from '../parts/format';
import { RoomButton, RoomLink } from '../parts/link';
import { MessageTable } from '../parts/message-table';
import { Page } from '../parts/page';
import { Loaded, Waiting } from '../parts/problem';
import { t } from '../texts';
import { useLive } from './live';
import css from './overview.module.css';

const Chart = lazy(() => import('../parts/chart'));
type Range = 'hour' | 'day';

export function Overview() {
  const [range, setRange] = useState<Range>('hour');
  const query = useQuery(q.overview(range));
  const live = useLive();
  return (
    <Page title={t.overview.title} lead={t.overview.lead} actions={<LiveMark on={live.on} />}>
      <Loaded query={query}>
        {(data) => (
          <Stack gap="lg">
            <Notices notices={data.notices ?? []} />
            <Alerts alerts={data.alerts ?? []} />
            <Figures counts={live.counts ?? data} />
            <Block
              title={t.overview.chart}
              aside={
                <SegmentedControl
                  size="xs"
                  aria-label={t.overview.range}
                  value={range}
                  onChange={(v) => setRange(v as Range)}
                  data={[
                    { value: 'hour', label: t.overview.hour },
                    { value: 'day', label: t.overview.day },
                  ]}
                />
              }
            >
              <Suspense fallback={<Waiting />}>
                <Chart points={data.series ?? []} says={chartSays(range, data)} />
              </Suspense>
            </Block>
            <BackupLine />
            <Recent start={data.start} />
          </Stack>
        )}
      </Loaded>
    </Page>
  );
}

/** Where in Data subjects an alert leads. */
const rights: Record<string, string> = { requests: 'requests', hold: 'holds', notice: 'told' };
/** What stands in a room of its own and not on the board of alerts. */
const elsewhere = new Set([...Object.keys(rights), 'sub_processors', 'incident', 'contract']);

/** Changes of the policy, until somebody who acts for the account has seen them. */
function Notices({ notices }: { notices: PolicyNotice[] }) {
  const session = useQuery(q.session).data;
  const see = async (n: PolicyNotice) => {
    await must(
      api.POST('/v1/notices/{whose}/{number}/seen', {
        params: { path: { whose: n.whose, number: n.number } },
        body: {},
      }),
    );
    await queryClient.invalidateQueries({ queryKey: ['overview'] });
  };
  return notices.map((n) => (
    <Alert key={`${n.whose} ${n.number}`} color="blue" variant="light" title={n.title}>
      <Group gap="md">
        <Anchor size="sm" href={n.url || '/policy'}>
          {t.overview.seeChange}
        </Anchor>
        {may(session, 'users:manage') && (
          <Button size="compact-sm" variant="default" onClick={() => see(n)}>
            {t.overview.noticeSeen}
          </Button>
        )}
      </Group>
    </Alert>
  ));
}

/** What the operator must look at before anything else. */
function Alerts({ alerts }: { alerts: OverviewAlert[] }) {
  const board = may(useQuery(q.session).data, 'assurance:read');
  if (alerts.length === 0) return null;
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle size={18} />} title={t.overview.alerts}>
      <Stack gap={4}>
        {alerts.map((a) => (
          <Text size="sm" key={a.text}>
            {a.text}{' '}
            {rights[a.kind] && (
              <RoomLink to="/subjects" search={{ tab: rights[a.kind] }} size="sm" underline="always">
                {t.overview.seeIt}
              </RoomLink>
            )}
          </Text>
        ))}
        {alerts.some((a) => a.kind === 'sub_processors') && (
          <RoomLink to="/sub-processors" size="sm">
            {t.overview.seeSupply}
          </RoomLink>
        )}
        {alerts.some((a) => a.kind === 'incident') && (
          <RoomLink to="/incidents" size="sm">
            {t.overview.seeIncidents}
          </RoomLink>
        )}
        {alerts.some((a) => a.kind === 'retention') && (
          <RoomLink to="/inventory" size="sm">
            {t.overview.seeRetention}
          </RoomLink>
        )}
        {board && alerts.some((a) => !elsewhere.has(a.kind)) && (
          <RoomLink to="/alerts" size="sm">
            {t.overview.seeAlerts}
          </RoomLink>
        )}
      </Stack>
    </Alert>
  );
}

/** How backups stand, in a line, for who runs the server. */
function BackupLine() {
  const session = useQuery(q.session).data;
  const { data: b } = useQuery({
    ...q.backups,
    enabled: session !== undefined && may(session, 'platform:read'),
  });
  if (!b) return null;
  const drill = b.drill_held ? t.overview.backupHeld : t.overview.backupFell;
  return (
    <Block title={t.overview.backups}>
      {b.configured ? (
        <Group gap="lg">
          <Text size="sm">
            {t.overview.backupNewest} <When at={b.newest} none={t.overview.backupNone} />
            {b.count > 0 && `, ${t.overview.backupCount(b.count)}`}
          </Text>
          <Text size="sm">
            {t.overview.backupDrill} <When at={b.drill_at} none={t.overview.backupNoDrill} />
            {b.drill_at && `, ${drill}`}
          </Text>
        </Group>
      ) : (
        <Text size="sm" c="dimmed">
          {t.overview.backupsOff}
        </Text>
      )}
      {b.late.map((line) => (
        <Text size="sm" c="var(--app-bad)" key={line}>
          {line}
        </Text>
      ))}
    </Block>
  );
}

function chartSays(range: Range, data: Data): string {
  const sum = (f: (p: NonNullable<Data['series']>[number]) => number) =>
    (data.series ?? []).reduce((n, p) => n + f(p), 0);
  const name = range === 'hour' ? t.overview.hour : t.overview.day;
  return t.overview.chartSays(
    name.toLowerCase(),
    sum((p) => p.accepted),
    sum((p) => p.delivered),
    sum((p) => p.failed),
  );
}

function LiveMark({ on }: { on: boolean }) {
  if (on) {
    return (
      <span className={css.live}>
        <span className={css.pulse} aria-hidden />
        {t.overview.live}
      </span>
    );
  }
  return (
    <Tooltip label={t.overview.liveOff} multiline w={240}>
      <span className={css.live} data-off>
        <span className={css.pulse} aria-hidden />
        {t.overview.live}
      </span>
    </Tooltip>
  );
}

function Figures({ counts }: { counts: Counts }) {
  const settled = counts.delivered_today + counts.failed_today;
  const delivered = percent(counts.delivered_today, settled);
  const failed = percent(counts.failed_today, settled);
  return (
    <SimpleGrid cols={{ base: 2, sm: 3, lg: 5 }} spacing="sm">
      <Figure
        label={t.overview.accepted}
        value={counts.accepted_today}
        link={
          <RoomLink to="/activity" size="xs">
            {t.overview.seeAll}
          </RoomLink>
        }
      />
      <Figure
        label={t.overview.delivered}
        value={counts.delivered_today}
        tone="good"
        note={delivered && t.overview.rate(delivered)}
      />
      <Figure
        label={t.overview.deferred}
        value={counts.deferred_now}
        tone={counts.deferred_now > 0 ? 'wait' : undefined}
        link={
          <RoomLink to="/queue" search={{ state: 'deferred' }} size="xs">
            {t.overview.seeQueue}
          </RoomLink>
        }
      />
      <Figure
        label={t.overview.failed}
        value={counts.failed_today}
        tone={counts.failed_today > 0 ? 'bad' : undefined}
        note={failed && t.overview.rate(failed)}
        link={
          <RoomLink to="/activity" search={{ outcome: 'failed' }} size="xs">
            {t.overview.seeFailed}
          </RoomLink>
        }
      />
      <Figure
        label={t.overview.queued}
        value={counts.queued_now}
        link={
          <RoomLink to="/queue" size="xs">
            {t.overview.seeQueue}
          </RoomLink>
        }
      />
    </SimpleGrid>
  );
}

type FigureProps = {
  label: string;
  value: number;
  tone?: string;
  note?: string | null | false;
  link?: ReactNode;
};

function Figure({ label, value, tone, note, link }: FigureProps) {
  return (
    <div className={css.figure}>
      <div className={css.figureLabel}>
        {tone && <span className={css.figureDot} data-tone={tone} aria-hidden />}
        {label}
      </div>
      <div className={css.figureValue}>{count(value)}</div>
      <div className={css.figureNote}>{link ?? note}</div>
    </div>
  );
}

function Recent({ start }: { start?: Start }) {
  const query = useInfiniteQuery(q.messages({}));
  const recent = flat(query.data).slice(0, 8);
  if (!query.data) return null;
  if (recent.length === 0) return <Starting start={start ?? {}} />;
  return (
    <Block
      flush
      title={t.overview.recent}
      aside={
        <RoomLink to="/activity" size="sm">
          {t.overview.seeAll}
        </RoomLink>
      }
    >
      <MessageTable rows={recent} label={t.overview.recent} />
    </Block>
  );
}

/** The lines to paste, with this server's own addresses in them. */
export function lines(start: Start): { smtp: string; http: string; inbound: string; whole: boolean } {
  const domain = start.domain ?? 'example.org';
  const submission = start.submission ?? '127.0.0.1:2587';
  const mx = start.mx ?? '127.0.0.1:2525';
  const origin = start.http ? `http://${start.http}` : window.location.origin;
  const user = start.smtp_username ?? 'SMTP_USERNAME';
  const password = start.smtp_password ?? 'SMTP_PASSWORD';
  const token = start.api_token ?? 'API_TOKEN';
  const mail = JSON.stringify({
    from: `hello@${domain}`,
    to: ['you@example.net'],
    subject: t.overview.sampleSubject,
    text: t.overview.sampleText,
  });
  return {
    smtp: `swaks --server ${submission} --tls --auth-user ${user} --auth-password ${password} --from hello@${domain} --to you@example.net`,
    http: `curl ${origin}/v1/messages -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' -d '${mail}'`,
    inbound: `swaks --server ${mx} --from someone@example.net --to ${start.inbound_recipient ?? `hello@in.${domain}`}`,
    whole: start.smtp_password !== undefined && start.api_token !== undefined,
  };
}

function Starting({ start }: { start: Start }) {
  const line = lines(start);
  return (
    <Block title={t.overview.start} text={t.overview.startLead}>
      <Stack gap="lg">
        {(
          [
            [t.overview.startSmtp, t.overview.startSmtpText, line.smtp],
            [t.overview.startHttp, t.overview.startHttpText, line.http],
            [t.overview.startInbound, t.overview.startInboundText, line.inbound],
          ] as const
        ).map(([title, text, command]) => (
          <div key={title}>
            <Text fw={560} size="sm">
              {title}
            </Text>
            <Text c="dimmed" size="sm" mb={6}>
              {text}
            </Text>
            <CopyLine value={command} label={title} wrap />
          </div>
        ))}
        {!line.whole && (
          <div>
            <Text size="sm" c="dimmed" mb="xs">
              {t.overview.needSecret}
            </Text>
            <RoomButton to="/access" variant="light">
              {t.overview.makeSecret}
            </RoomButton>
          </div>
        )}
      </Stack>
    </Block>
  );
}
