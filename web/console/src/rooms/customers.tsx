import { Button, Group, Text, TextInput } from '@mantine/core';
import { IconBuilding, IconPlayerPause, IconPlayerPlay, IconPlus } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Customer } from '../api/shapes';
import { may } from '../may';
import { ask, openForm, tell } from '../parts/ask';
import { Block, CopyIcon, Empty, State, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { Page } from '../parts/page';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';
import css from './customers.module.css';
import { EndContract } from './ending';

const refresh = () => queryClient.invalidateQueries({ queryKey: ['customers'] });

function turn(c: Customer, state: 'active' | 'suspended') {
  const words = t.customers.turn[state];
  ask({
    title: words.title(c.name),
    text: words.text,
    confirm: words.confirm,
    danger: state === 'suspended',
    act: async () => {
      await must(api.PATCH('/v1/customers/{id}', { params: { path: { id: c.id } }, body: { state } }));
      await refresh();
      tell(words.done(c.name));
    },
  });
}

function Turn({ customer: c }: { customer: Customer }) {
  if (c.state === 'ended') return t.common.nothing;
  const to = c.state === 'active' ? 'suspended' : 'active';
  return (
    <Button
      size="compact-sm"
      variant="default"
      leftSection={to === 'active' ? <IconPlayerPlay size={14} /> : <IconPlayerPause size={14} />}
      aria-label={t.customers.turn[to].title(c.name)}
      onClick={() => turn(c, to)}
    >
      {t.customers.turn[to].confirm}
    </Button>
  );
}

const columns: Column<Customer>[] = [
  {
    id: 'name',
    title: t.customers.name,
    lead: true,
    grow: true,
    cell: (c) => <strong title={c.name}>{c.name}</strong>,
  },
  {
    id: 'id',
    title: t.customers.id,
    cell: (c) => (
      <span className={css.id}>
        <code>{c.id}</code>
        <CopyIcon value={c.id} label={t.common.copyOf(t.customers.id)} />
      </span>
    ),
  },
  { id: 'region', title: t.customers.region, cell: (c) => c.region },
  { id: 'state', title: t.common.state, cell: (c) => <State state={c.state} /> },
  { id: 'created', title: t.common.created, cell: (c) => <When at={c.created_at} /> },
];

/** What can be done; the operator's own row can be neither paused nor ended. */
const managed = (own: string | undefined): Column<Customer>[] => [
  ...columns,
  {
    id: 'acts',
    title: t.common.actions,
    align: 'right',
    cell: (c) =>
      c.id === own ? (
        <Text size="sm" c="dimmed">
          {t.customers.own}
        </Text>
      ) : (
        <Group gap="xs" wrap="nowrap" className={css.acts}>
          <Turn customer={c} />
          <EndContract customer={c} />
        </Group>
      ),
  },
];

export function Customers() {
  const query = useInfiniteQuery(q.customers);
  const session = useQuery(q.session).data;
  const manages = may(session, 'platform:manage');
  const shown = useMemo(() => (manages ? managed(session?.customer.id) : columns), [manages, session]);
  const add = () => openForm(t.customers.add, (close) => <AddCustomer close={close} />);
  return (
    <Page
      title={t.customers.title}
      lead={t.customers.lead}
      actions={
        manages && (
          <Button leftSection={<IconPlus size={16} />} onClick={add}>
            {t.customers.add}
          </Button>
        )
      }
    >
      <Block flush>
        <PagedTable
          label={t.customers.table}
          query={query}
          columns={shown}
          rowKey={(c) => c.id}
          empty={
            <Empty icon={<IconBuilding size={22} />} title={t.customers.empty} text={t.customers.emptyText} />
          }
        />
      </Block>
    </Page>
  );
}

function AddCustomer({ close }: { close: () => void }) {
  const [name, setName] = useState('');
  const [tried, setTried] = useState(false);
  const region = useQuery(q.session).data?.customer?.region;
  return (
    <FormBox
      submit={t.customers.add}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (!name.trim()) return false;
        return must(api.POST('/v1/customers', { body: { name: name.trim() } })).then(async (made) => {
          await refresh();
          close();
          tell(t.customers.added(made.name));
        });
      }}
    >
      <TextInput
        label={t.customers.name}
        placeholder={t.customers.placeholder}
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        error={tried && !name.trim() ? t.customers.needName : null}
        data-autofocus
      />
      {region && <Text size="sm">{t.customers.stays(region)}</Text>}
    </FormBox>
  );
}
