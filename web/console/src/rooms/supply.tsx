import { Button, Group, Stack, Text } from '@mantine/core';
import { IconBuildingFactory2 } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { api, must } from '../api/client';
import { q } from '../api/queries';
import type { OwnEndpoint, SubProcessor } from '../api/shapes';
import { may } from '../may';
import { ask, openForm } from '../parts/ask';
import { Block, Dot, Empty, Facts, When } from '../parts/atoms';
import { Page } from '../parts/page';
import { Loaded } from '../parts/problem';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';
import { Announce, Answer, at, type Entry, Oppose, refresh } from './supply-form';

const join = (list?: string[] | null) => (list && list.length > 0 ? list.join(', ') : t.common.nothing);

function Objections({ of, manage }: { of: string; manage: boolean }) {
  const query = useQuery(q.objections(of));
  return (
    <Loaded query={query}>
      {(rows) =>
        rows.length === 0 ? (
          <Text size="sm" c="dimmed">
            {t.supply.noObjections}
          </Text>
        ) : (
          <Stack gap="sm">
            {rows.map((o) => (
              <div key={o.id}>
                <Text size="sm" style={{ whiteSpace: 'pre-wrap' }}>
                  {o.reason}
                </Text>
                <Text size="xs" c="dimmed">
                  {manage ? `${o.customer} · ` : ''}
                  <When at={o.made_at} /> ·{' '}
                  {o.answered_at ? t.supply.isAnswered(o.answer ?? '') : t.supply.waits}
                </Text>
                {manage && !o.answered_at && (
                  <Button
                    size="compact-xs"
                    variant="default"
                    mt={4}
                    onClick={() => openForm(t.supply.answerTitle, (close) => <Answer to={o} close={close} />)}
                  >
                    {t.supply.answer}
                  </Button>
                )}
              </div>
            ))}
          </Stack>
        )
      }
    </Loaded>
  );
}

function Detail({ of, manage }: { of: SubProcessor; manage: boolean }) {
  const e = of.entry;
  const query = useQuery(q.subProcessor(of.id));
  return (
    <Stack gap="lg">
      <Facts
        items={[
          [t.supply.fields.kind, t.supply.kinds[e.kind] ?? e.kind],
          [t.supply.fields.purposes, join(e.purposes)],
          [t.supply.fields.data, join(e.data)],
          [t.supply.place, place(e)],
          [t.supply.fields.uses, join(e.uses)],
          [t.supply.fields.agreement, until(e.agreement?.document, e.agreement?.until)],
          [
            t.supply.fields.safeguard,
            e.safeguard?.kind
              ? `${t.supply.safeguards[e.safeguard.kind] ?? e.safeguard.kind}: ${until(e.safeguard.document, e.safeguard.until)}`
              : t.common.nothing,
          ],
          ...(manage ? ([[t.supply.fields.endpoints, join(e.endpoints)]] as [string, string][]) : []),
        ]}
      />
      <section aria-label={t.supply.versions}>
        <h3>{t.supply.versions}</h3>
        <Loaded query={query}>
          {(detail) => (
            <ul>
              {detail.versions.map((v) => (
                <li key={v.number}>
                  <Text size="sm">
                    {t.supply.version(v.number)}: {v.removed ? `${t.supply.ends} ` : ''}
                    {v.withdrawn_at ? t.supply.withdrawn : <When at={v.effective_at} exact />}
                    {v.note ? ` – ${v.note}` : ''}
                  </Text>
                </li>
              ))}
            </ul>
          )}
        </Loaded>
      </section>
      <section aria-label={t.supply.objections}>
        <h3>{t.supply.objections}</h3>
        <Objections of={of.id} manage={manage} />
      </section>
    </Stack>
  );
}

const place = (e: Entry) => [e.region, e.country].filter(Boolean).join(', ');
const until = (document?: string, end?: string) =>
  document ? (end ? t.supply.until(document, end) : document) : t.common.nothing;

const show = (p: SubProcessor, manage: boolean) =>
  openForm(p.entry.name, () => <Detail of={p} manage={manage} />, 'lg');

const change = (p?: SubProcessor) =>
  openForm(
    p ? t.supply.changeTitle(p.entry.name) : t.supply.addTitle,
    (close) => <Announce of={p?.id} entry={p?.entry} close={close} />,
    'xl',
  );

function withdraw(p: SubProcessor) {
  ask({
    title: t.supply.withdrawTitle(p.entry.name),
    text: t.supply.withdrawText,
    confirm: t.supply.withdraw,
    danger: true,
    act: async () => {
      await must(api.DELETE('/v1/sub-processors/{id}/coming', at(p.id)));
      await refresh();
    },
  });
}

function end(p: SubProcessor) {
  ask({
    title: t.supply.endTitle(p.entry.name),
    text: t.supply.endText,
    confirm: t.supply.end,
    danger: true,
    act: async () => {
      await must(api.DELETE('/v1/sub-processors/{id}', at(p.id)));
      await refresh();
    },
  });
}

function Standing({ of }: { of: SubProcessor }) {
  if (of.problem)
    return (
      <>
        <Dot tone="bad" /> {t.supply.refused(of.problem)}
      </>
    );
  if (of.coming?.removed) return t.supply.leaving;
  if (of.state === 'coming') return t.supply.isComing;
  return of.coming ? t.supply.isChanging : t.supply.inForce;
}

function Coming({ list, manage }: { list: SubProcessor[]; manage: boolean }) {
  const columns: Column<SubProcessor>[] = [
    {
      id: 'name',
      title: t.common.name,
      lead: true,
      wrap: true,
      cell: (p) => <strong>{p.entry.name}</strong>,
    },
    {
      id: 'what',
      title: t.supply.what,
      wrap: true,
      grow: true,
      cell: (p) =>
        p.state === 'coming'
          ? t.supply.newOne(join(p.entry.purposes), place(p.entry))
          : p.coming?.note || t.supply.changed,
    },
    { id: 'from', title: t.supply.effective, cell: (p) => <When at={p.coming?.effective_at} exact /> },
    ...(manage
      ? [{ id: 'objections', title: t.supply.open, cell: (p: SubProcessor) => String(p.open_objections) }]
      : []),
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (p) => (
        <Group gap="xs" justify="flex-end" wrap="nowrap">
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => show(p, manage)}
            aria-label={t.supply.showOf(p.entry.name)}
          >
            {t.common.details}
          </Button>
          {p.may_object && (
            <Button
              size="compact-xs"
              variant="default"
              onClick={() =>
                openForm(t.supply.objectTitle(p.entry.name), (close) => <Oppose of={p} close={close} />)
              }
            >
              {t.supply.object}
            </Button>
          )}
          {manage && (
            <Button size="compact-xs" variant="default" color="red" onClick={() => withdraw(p)}>
              {t.supply.withdraw}
            </Button>
          )}
        </Group>
      ),
    },
  ];
  return (
    <Block title={t.supply.coming} text={manage ? t.supply.comingTextOperator : t.supply.comingText} flush>
      <DataTable label={t.supply.coming} columns={columns} rows={list} rowKey={(p) => p.id} />
    </Block>
  );
}

function InForce({ list, manage }: { list: SubProcessor[]; manage: boolean }) {
  const columns: Column<SubProcessor>[] = [
    {
      id: 'name',
      title: t.common.name,
      lead: true,
      wrap: true,
      cell: (p) => <strong>{p.entry.name}</strong>,
    },
    {
      id: 'purposes',
      title: t.supply.fields.purposes,
      wrap: true,
      grow: true,
      cell: (p) => join(p.entry.purposes),
    },
    { id: 'place', title: t.supply.place, wrap: true, cell: (p) => place(p.entry) },
    { id: 'uses', title: t.supply.fields.uses, wrap: true, cell: (p) => join(p.entry.uses) },
    { id: 'state', title: t.common.state, wrap: true, cell: (p) => <Standing of={p} /> },
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (p) => (
        <Group gap="xs" justify="flex-end" wrap="nowrap">
          <Button
            size="compact-xs"
            variant="default"
            onClick={() => show(p, manage)}
            aria-label={t.supply.showOf(p.entry.name)}
          >
            {t.common.details}
          </Button>
          {manage && !p.coming && (
            <>
              <Button size="compact-xs" variant="default" onClick={() => change(p)}>
                {t.supply.change}
              </Button>
              <Button size="compact-xs" variant="default" color="red" onClick={() => end(p)}>
                {t.supply.end}
              </Button>
            </>
          )}
        </Group>
      ),
    },
  ];
  if (list.length === 0)
    return (
      <Block title={t.supply.who}>
        <Empty icon={<IconBuildingFactory2 size={22} />} title={t.supply.nobody} text={t.supply.nobodyText} />
      </Block>
    );
  return (
    <Block title={t.supply.who} flush>
      <DataTable label={t.supply.who} columns={columns} rows={list} rowKey={(p) => p.id} />
    </Block>
  );
}

const endpoints: Column<OwnEndpoint>[] = [
  { id: 'host', title: t.supply.endpoint, lead: true, wrap: true, cell: (e) => <code>{e.host}</code> },
  { id: 'setting', title: t.supply.setting, cell: (e) => <code>{e.destination}</code> },
  { id: 'purpose', title: t.supply.purpose, cell: (e) => e.purpose },
  {
    id: 'by',
    title: t.supply.coveredBy,
    wrap: true,
    grow: true,
    cell: (e) =>
      e.problem ? (
        <>
          <Dot tone="bad" /> {e.problem}
        </>
      ) : e.own ? (
        t.supply.ownMachine
      ) : e.region ? (
        t.supply.elsewhere(e.entry ?? '', e.region)
      ) : (
        e.entry
      ),
  },
];

function Endpoints() {
  const query = useQuery(q.endpoints);
  return (
    <Block title={t.supply.endpoints} text={t.supply.endpointsText} flush>
      <Loaded query={query}>
        {(rows) => (
          <DataTable
            label={t.supply.endpoints}
            columns={endpoints}
            rows={rows}
            rowKey={(e) => `${e.destination} ${e.host}`}
          />
        )}
      </Loaded>
    </Block>
  );
}

/** Who gets data, what is coming, and for the operator the register itself. */
export function Supply() {
  const session = useQuery(q.session).data;
  const query = useQuery(q.supply);
  const manage = may(session, 'platform:manage');
  return (
    <Page
      title={t.supply.title}
      lead={manage ? t.supply.leadOperator : t.supply.lead}
      actions={manage && <Button onClick={() => change()}>{t.supply.add}</Button>}
    >
      <Loaded query={query}>
        {(register) => {
          const coming = register.filter((p) => p.coming);
          return (
            <Stack gap="lg">
              {coming.length > 0 && <Coming list={coming} manage={manage} />}
              <InForce list={register.filter((p) => p.state === 'in_force')} manage={manage} />
              {manage && <Endpoints />}
            </Stack>
          );
        }}
      </Loaded>
    </Page>
  );
}
