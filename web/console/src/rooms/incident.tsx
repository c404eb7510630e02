import {
  Alert,
  Button,
  Group,
  Radio,
  SimpleGrid,
  Stack,
  Switch,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core';
import { IconInfoCircle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Incident, IncidentReport } from '../api/shapes';
import { may } from '../may';
import { ask, openForm, tell } from '../parts/ask';
import { Block, State, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { localNow } from '../parts/format';
import { useNames } from '../parts/names';
import { Page } from '../parts/page';
import css from '../parts/paper.module.css';
import { Loaded } from '../parts/problem';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';
import { Scope } from './incident-scope';

export const refresh = () =>
  Promise.all([
    queryClient.invalidateQueries({ queryKey: ['incidents'] }),
    queryClient.invalidateQueries({ queryKey: ['overview'] }),
  ]);
export const at = (x: Incident) => ({ params: { path: { id: x.id } } });

/** One incident: clocks, scope, report, notices, and what containing did. */
export function IncidentRoom() {
  const { id } = useParams({ from: '/shell/incidents/$id' });
  const manage = may(useQuery(q.session).data, 'incidents:manage');
  const query = useQuery(q.incident(id));
  const x = query.data;
  const open = x !== undefined && x.state !== 'closed';
  return (
    <Page
      title={x?.title ?? t.incidents.what}
      lead={
        x && (
          <Group gap="md">
            <State state={x.state} />
            <span>
              {t.incidents.aware} <When at={x.aware_at} />
            </span>
            <code>{x.id}</code>
          </Group>
        )
      }
      back={{ to: '/incidents', label: t.incidents.title }}
      actions={manage && open && <Acts of={x} />}
    >
      <Loaded query={query}>
        {(shown) => (
          <Stack gap="lg">
            {shown.drill && (
              <Alert icon={<IconInfoCircle size={18} />} title={t.incidents.isDrill}>
                {t.incidents.drillText}
              </Alert>
            )}
            {shown.text && (
              <Block title={t.incidents.notices}>
                <p className={css.text}>{shown.text}</p>
              </Block>
            )}
            {manage && <Clocks of={shown} />}
            <Scope of={shown} manage={manage} />
            {manage && <Report key={shown.id} of={shown} />}
            {manage && <Notices of={shown} />}
            {manage && shown.acts.length > 0 && <Contained of={shown} />}
          </Stack>
        )}
      </Loaded>
    </Page>
  );
}

function Acts({ of: x }: { of: Incident }) {
  const act = (what: keyof typeof t.incidents.acts, danger: boolean, call: () => Promise<unknown>) => (
    <Button
      key={what}
      variant={what === 'notify' ? 'filled' : 'default'}
      onClick={() =>
        ask({
          title: t.incidents.acts[what].title,
          text: t.incidents.acts[what].text,
          confirm: t.incidents.acts[what].button,
          danger,
          act: async () => {
            await call();
            await refresh();
            tell(t.incidents.acts[what].done);
          },
        })
      }
    >
      {t.incidents.acts[what].button}
    </Button>
  );
  return (
    <>
      {act('close', false, () => must(api.POST('/v1/incidents/{id}/close', at(x))))}
      {x.state === 'contained'
        ? act('release', false, () => must(api.POST('/v1/incidents/{id}/release', at(x))))
        : act('contain', true, () => must(api.POST('/v1/incidents/{id}/contain', at(x))))}
      {act('notify', false, () => must(api.POST('/v1/incidents/{id}/notify', at(x))))}
    </>
  );
}

type Clock = Incident['clocks'][number];

/** What people tell outside of this server; the customers' clock is met by the notices. */
const byPeople = (c: Clock): c is Clock & { name: 'authority' | 'persons' } => c.name !== 'customers';

function Clocks({ of: x }: { of: Incident }) {
  const columns: Column<Clock>[] = [
    {
      id: 'name',
      title: t.incidents.what,
      lead: true,
      cell: (c) => t.incidents.clocks[c.name] ?? c.name,
    },
    { id: 'standing', title: t.common.state, cell: (c) => <State state={c.standing} /> },
    { id: 'due', title: t.incidents.due, cell: (c) => <When at={c.due_at} exact /> },
    { id: 'met', title: t.incidents.met, cell: (c) => <When at={c.met_at} exact /> },
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (c) =>
        byPeople(c) && x.state !== 'closed' && (c.standing === 'running' || c.standing === 'overdue') ? (
          <Button
            size="compact-sm"
            variant="default"
            aria-label={t.incidents.tellTitle(t.incidents.clocks[c.name] ?? c.name)}
            onClick={() =>
              openForm(t.incidents.tellTitle(t.incidents.clocks[c.name] ?? c.name), (close) => (
                <Told of={x} duty={c.name} close={close} />
              ))
            }
          >
            {t.incidents.tell}
          </Button>
        ) : null,
    },
  ];
  return (
    <Block flush title={t.incidents.clocksTitle} text={t.incidents.clocksText}>
      <DataTable label={t.incidents.clocksTitle} columns={columns} rows={x.clocks} rowKey={(c) => c.name} />
    </Block>
  );
}

type ToldProps = { of: Incident; duty: 'authority' | 'persons'; close: () => void };

function Told({ of: x, duty, close }: ToldProps) {
  const [how, setHow] = useState('told');
  const [when, setWhen] = useState(localNow());
  const [words, setWords] = useState('');
  const [tried, setTried] = useState(false);
  const told = how === 'told';
  const lacks = !words.trim() || (told && !when);
  return (
    <FormBox
      submit={t.incidents.tell}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (lacks) return false;
        const body = told
          ? { duty, at: new Date(when).toISOString(), reference: words.trim() }
          : { duty, not_needed: words.trim() };
        return must(api.POST('/v1/incidents/{id}/told', { ...at(x), body })).then(async () => {
          await refresh();
          close();
          tell(t.incidents.told);
        });
      }}
    >
      <Text size="sm">{t.incidents.tellText}</Text>
      <Radio.Group
        aria-label={t.incidents.tellTitle(t.incidents.clocks[duty] ?? duty)}
        value={how}
        onChange={setHow}
      >
        <Stack gap={6}>
          <Radio value="told" label={t.incidents.wasTold} />
          <Radio value="not" label={t.incidents.notNeeded} />
        </Stack>
      </Radio.Group>
      {told && (
        <TextInput
          label={t.incidents.toldAt}
          type="datetime-local"
          value={when}
          onChange={(e) => setWhen(e.currentTarget.value)}
        />
      )}
      <Textarea
        label={told ? t.incidents.reference : t.incidents.whyNot}
        description={told ? t.incidents.referenceHelp : undefined}
        autosize
        minRows={2}
        maxLength={4000}
        value={words}
        onChange={(e) => setWords(e.currentTarget.value)}
        error={tried && lacks ? t.incidents.needTold : null}
      />
    </FormBox>
  );
}

const texts = ['nature', 'data', 'consequences', 'measures', 'contact'] as const;
const numbers = ['persons', 'records'] as const;

/** The seven parts of a notice; saved as far as they are known. */
function Report({ of: x }: { of: Incident }) {
  const [report, setReport] = useState<IncidentReport>(x.report);
  const [highRisk, setHighRisk] = useState(x.high_risk);
  const shut = x.state === 'closed';
  const put = (name: keyof IncidentReport, value: string | number) =>
    setReport((old) => ({ ...old, [name]: value }));
  return (
    <Block title={t.incidents.report} text={t.incidents.reportText}>
      <FormBox
        submit={t.common.save}
        onSubmit={() =>
          !shut &&
          must(api.PATCH('/v1/incidents/{id}', { ...at(x), body: { report, high_risk: highRisk } })).then(
            async () => {
              await refresh();
              tell(t.incidents.saved);
            },
          )
        }
      >
        {x.missing.length > 0 && (
          <Text size="sm" c="var(--app-bad)">
            {t.incidents.lacks(x.missing.map((m) => t.incidents.fields[m]?.toLowerCase() ?? m).join(', '))}
          </Text>
        )}
        {texts.map((name) => (
          <Textarea
            key={name}
            label={t.incidents.fields[name]}
            autosize
            minRows={2}
            maxLength={4000}
            disabled={shut}
            value={report[name] ?? ''}
            onChange={(e) => put(name, e.currentTarget.value)}
          />
        ))}
        <SimpleGrid cols={{ base: 1, sm: 2 }}>
          {numbers.map((name) => (
            <TextInput
              key={name}
              label={t.incidents.fields[name]}
              description={t.incidents.numbersHelp}
              type="number"
              min={0}
              disabled={shut}
              value={report[name] ?? ''}
              onChange={(e) => put(name, Number.parseInt(e.currentTarget.value, 10) || 0)}
            />
          ))}
        </SimpleGrid>
        <Switch
          label={t.incidents.highRisk}
          description={t.incidents.highRiskText}
          disabled={shut}
          checked={highRisk}
          onChange={(e) => setHighRisk(e.currentTarget.checked)}
        />
      </FormBox>
    </Block>
  );
}

type Notice = Incident['notices'][number];

function standingOf(n: Notice) {
  if (n.no_contact) return t.incidents.nobody;
  if (n.delivered_at) return t.incidents.delivered;
  if (n.failed_at) return t.incidents.failed;
  return n.sent_at ? t.incidents.sent : t.incidents.unsent;
}

function Notices({ of: x }: { of: Incident }) {
  const names = useNames();
  const name = (n: Notice) => names.customer(n.customer) ?? n.customer;
  const columns: Column<Notice>[] = [
    {
      id: 'customer',
      title: t.incidents.customer,
      lead: true,
      wrap: true,
      cell: (n) => <strong>{name(n)}</strong>,
    },
    {
      id: 'standing',
      title: t.common.state,
      cell: (n) => (
        <>
          <State state={n.standing} />
          <Text size="xs" c="dimmed">
            {standingOf(n)}
          </Text>
        </>
      ),
    },
    { id: 'due', title: t.incidents.due, cell: (n) => <When at={n.due_at} exact /> },
    { id: 'sent', title: t.incidents.sent, cell: (n) => <When at={n.sent_at} exact /> },
    { id: 'delivered', title: t.incidents.delivered, cell: (n) => <When at={n.delivered_at} exact /> },
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (n) =>
        n.draft ? (
          <Button
            size="compact-sm"
            variant="default"
            aria-label={t.incidents.draftOf(name(n))}
            onClick={() =>
              openForm(t.incidents.draftOf(name(n)), () => <p className={css.text}>{n.draft}</p>, 'lg')
            }
          >
            {t.incidents.draft}
          </Button>
        ) : null,
    },
  ];
  return (
    <Block flush={x.notices.length > 0} title={t.incidents.notices} text={t.incidents.noticesText}>
      {x.notices.length > 0 ? (
        <DataTable label={t.incidents.notices} columns={columns} rows={x.notices} rowKey={(n) => n.id} />
      ) : (
        <Text size="sm">{t.incidents.noNotices}</Text>
      )}
    </Block>
  );
}

type Act = Incident['acts'][number];
const acts: Column<Act>[] = [
  { id: 'what', title: t.incidents.act, lead: true, wrap: true, cell: (a) => a.what },
  { id: 'target', title: t.incidents.target, cell: (a) => <code>{a.target}</code> },
  { id: 'at', title: t.incidents.at, cell: (a) => <When at={a.at} exact /> },
  {
    id: 'undone',
    title: t.incidents.undone,
    cell: (a) => (a.final ? t.incidents.final : <When at={a.undone_at} exact />),
  },
];

function Contained({ of: x }: { of: Incident }) {
  return (
    <Block flush title={t.incidents.containing}>
      <DataTable
        label={t.incidents.containing}
        columns={acts}
        rows={x.acts}
        rowKey={(a) => `${a.what} ${a.target} ${a.at}`}
      />
    </Block>
  );
}
