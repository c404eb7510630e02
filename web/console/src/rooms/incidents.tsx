import { Badge, Button, Group, MultiSelect, Stack, Switch, Text, TextInput } from '@mantine/core';
import { IconPlus, IconSearch, IconShieldExclamation } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q } from '../api/queries';
import type { Incident, ScopeSelector } from '../api/shapes';
import { may } from '../may';
import { openForm, tell } from '../parts/ask';
import { Block, Empty, State, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { localNow } from '../parts/format';
import { RoomLink } from '../parts/link';
import { useNames } from '../parts/names';
import { Page } from '../parts/page';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';
import { refresh } from './incident';
import { LookUp } from './incident-scope';

/** The clock that runs out first of those that still run. */
function Next({ of: x }: { of: Incident }) {
  const left = x.clocks.filter((c) => c.standing === 'running' || c.standing === 'overdue');
  const next = left.sort((a, b) => a.due_at.localeCompare(b.due_at))[0];
  if (!next || x.state === 'closed') return t.incidents.allMet;
  return (
    <>
      <State state={next.standing} />
      <Text size="xs" c="dimmed">
        {t.incidents.clocks[next.name] ?? next.name}, <When at={next.due_at} />
      </Text>
    </>
  );
}

const columns: Column<Incident>[] = [
  {
    id: 'what',
    title: t.incidents.what,
    lead: true,
    wrap: true,
    cell: (x) => (
      <Group gap="xs">
        <RoomLink to="/incidents/$id" params={{ id: x.id }} fw={600}>
          {x.title}
        </RoomLink>
        {x.drill && (
          <Badge variant="default" size="sm">
            {t.incidents.isDrill}
          </Badge>
        )}
      </Group>
    ),
  },
  { id: 'state', title: t.common.state, cell: (x) => <State state={x.state} /> },
  { id: 'aware', title: t.incidents.aware, cell: (x) => <When at={x.aware_at} /> },
];
const managed: Column<Incident>[] = [
  ...columns,
  { id: 'next', title: t.incidents.next, wrap: true, cell: (x) => <Next of={x} /> },
];

/** The room of breaches: for the operator clocks and acts, for a customer its own notices. */
export function Incidents() {
  const { data: session } = useQuery(q.session);
  const query = useInfiniteQuery(q.incidents);
  const manage = may(session, 'incidents:manage');
  return (
    <Page
      title={t.incidents.title}
      lead={manage ? t.incidents.lead : t.incidents.leadOwn}
      actions={manage && <Begin />}
    >
      <Block flush>
        <PagedTable
          label={t.incidents.table}
          query={query}
          columns={manage ? managed : columns}
          rowKey={(x) => x.id}
          empty={
            <Empty
              icon={<IconShieldExclamation size={22} />}
              title={t.incidents.empty}
              text={manage ? t.incidents.emptyText : t.incidents.emptyOwn}
            />
          }
        />
      </Block>
    </Page>
  );
}

function Begin() {
  const navigate = useNavigate();
  const began = (id: string) => navigate({ to: '/incidents/$id', params: { id } });
  const open = (scope?: ScopeSelector) =>
    openForm(t.incidents.open, (close) => <Open scope={scope} close={close} began={began} />);
  return (
    <>
      <Button
        variant="default"
        leftSection={<IconSearch size={16} />}
        onClick={() =>
          openForm(
            t.incidents.lookUp,
            (close) => (
              <LookUp
                take={t.incidents.openWith}
                close={close}
                onTake={async (scope) => {
                  close();
                  open(scope);
                }}
              />
            ),
            'lg',
          )
        }
      >
        {t.incidents.lookUp}
      </Button>
      <Button leftSection={<IconPlus size={16} />} onClick={() => open()}>
        {t.incidents.open}
      </Button>
    </>
  );
}

type OpenProps = { scope?: ScopeSelector; close: () => void; began: (id: string) => void };

function Open({ scope, close, began }: OpenProps) {
  const { choice } = useNames();
  const [title, setTitle] = useState('');
  const [aware, setAware] = useState(localNow());
  const [drill, setDrill] = useState(false);
  const [highRisk, setHighRisk] = useState(false);
  const [customers, setCustomers] = useState<string[]>([]);
  const [tried, setTried] = useState(false);
  return (
    <FormBox
      submit={t.incidents.open}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (!title.trim()) return false;
        const body = {
          title: title.trim(),
          drill,
          high_risk: highRisk,
          customers,
          scope,
          ...(aware && { aware_at: new Date(aware).toISOString() }),
        };
        return must(api.POST('/v1/incidents', { body })).then(async (made) => {
          await refresh();
          close();
          tell(t.incidents.opened);
          began(made.id);
        });
      }}
    >
      <Text size="sm">{t.incidents.openText}</Text>
      <TextInput
        label={t.incidents.name}
        description={t.incidents.nameHelp}
        value={title}
        maxLength={200}
        onChange={(e) => setTitle(e.currentTarget.value)}
        error={tried && !title.trim() ? t.incidents.needName : null}
        data-autofocus
      />
      <TextInput
        label={t.incidents.awareAt}
        type="datetime-local"
        value={aware}
        onChange={(e) => setAware(e.currentTarget.value)}
      />
      <MultiSelect
        label={t.incidents.customers}
        description={t.incidents.customersText}
        data={choice}
        value={customers}
        onChange={setCustomers}
        searchable
      />
      <Stack gap="sm">
        <Switch
          label={t.incidents.highRisk}
          description={t.incidents.highRiskText}
          checked={highRisk}
          onChange={(e) => setHighRisk(e.currentTarget.checked)}
        />
        <Switch
          label={t.incidents.drillMode}
          description={t.incidents.drillModeText}
          checked={drill}
          onChange={(e) => setDrill(e.currentTarget.checked)}
        />
      </Stack>
    </FormBox>
  );
}
