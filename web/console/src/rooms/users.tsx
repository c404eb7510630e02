import { ActionIcon, Button, Group, Select, TextInput } from '@mantine/core';
import { IconLink, IconPlus, IconTrash, IconUsers } from '@tabler/icons-react';
import { useInfiniteQuery, useMutation, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { api, must } from '../api/client';
import { flat, q, queryClient } from '../api/queries';
import type { Customer, Person, Role as RoleName } from '../api/shapes';
import { may } from '../may';
import { ask, openForm, tell } from '../parts/ask';
import { Block, Empty, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { Page } from '../parts/page';
import { ProblemNote } from '../parts/problem';
import { showSecret } from '../parts/secret';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

const refresh = () => queryClient.invalidateQueries({ queryKey: ['users'] });
const roles = (['owner', 'admin', 'developer', 'viewer'] as RoleName[]).map((value) => ({
  value,
  label: t.users.roles[value] ?? value,
}));
const auditor = { value: 'auditor', label: t.users.roles.auditor ?? '' };

function remove(person: Person) {
  ask({
    title: t.users.removeTitle(person.email),
    text: t.users.removeText,
    confirm: t.users.remove,
    danger: true,
    act: async () => {
      await must(api.DELETE('/v1/users/{id}', { params: { path: { id: person.id } } }));
      await refresh();
      tell(t.users.removed(person.email));
    },
  });
}

function link(person: Person) {
  ask({
    title: t.users.linkTitle(person.email),
    text: t.users.linkText,
    confirm: t.users.link,
    act: async () => {
      const made = await must(api.POST('/v1/users/{id}/link', { params: { path: { id: person.id } } }));
      showSecret(t.users.linkTitle(person.email), t.users.linkShown, [
        { label: t.users.link, value: window.location.origin + made.path },
      ]);
    },
  });
}

function Role({ person }: { person: Person }) {
  const change = useMutation({
    mutationFn: (role: RoleName) =>
      must(api.PATCH('/v1/users/{id}', { params: { path: { id: person.id } }, body: { role } })),
    onSuccess: async (_made, role) => {
      await refresh();
      tell(t.users.changed(person.email, t.users.roles[role] ?? role));
    },
  });
  const known = roles.some((r) => r.value === person.role);
  if (!known) return <>{t.users.roles[person.role] ?? person.role}</>;
  return (
    <>
      <Select
        size="xs"
        w={136}
        aria-label={t.users.roleOf(person.email)}
        data={roles}
        value={person.role}
        disabled={change.isPending}
        onChange={(v) => v && v !== person.role && change.mutate(v as RoleName)}
      />
      {change.isError && <ProblemNote error={change.error} />}
    </>
  );
}

const columns: Column<Person>[] = [
  {
    id: 'email',
    title: t.users.email,
    lead: true,
    grow: true,
    cell: (p) => <strong title={p.email}>{p.email}</strong>,
  },
  { id: 'name', title: t.common.name, clip: true, cell: (p) => p.name || t.common.nothing },
  { id: 'role', title: t.users.role, cell: (p) => <Role person={p} /> },
  { id: 'seen', title: t.users.seen, cell: (p) => <When at={p.last_seen_at} none={t.common.never} /> },
  {
    id: 'acts',
    title: t.common.actions,
    align: 'right',
    cell: (p) => (
      <Group gap={4} justify="flex-end" wrap="nowrap" display="inline-flex">
        <ActionIcon
          variant="subtle"
          color="gray"
          onClick={() => link(p)}
          aria-label={t.users.linkTitle(p.email)}
        >
          <IconLink size={16} />
        </ActionIcon>
        <ActionIcon
          variant="subtle"
          color="gray"
          onClick={() => remove(p)}
          aria-label={t.users.removeTitle(p.email)}
        >
          <IconTrash size={16} />
        </ActionIcon>
      </Group>
    ),
  },
];

/** Whose person it is: only an operator sees those of more than one customer. */
const customerColumn = (customers: Customer[]): Column<Person> => ({
  id: 'customer',
  title: t.users.customer,
  clip: true,
  cell: (p) => customers.find((c) => c.id === p.customer)?.name ?? t.common.nothing,
});

export function Users() {
  const query = useInfiniteQuery(q.users);
  const session = useQuery(q.session).data;
  const operator = may(session, 'platform:read');
  const asked = useInfiniteQuery({ ...q.customers, enabled: operator });
  const customers = useMemo(() => flat(asked.data), [asked.data]);
  const shown = useMemo(
    () => (operator ? columns.toSpliced(2, 0, customerColumn(customers)) : columns),
    [operator, customers],
  );
  const add = () =>
    openForm(t.users.add, (close) => (
      <AddUser close={close} customers={operator ? customers : []} own={session?.customer?.id} />
    ));
  return (
    <Page
      title={t.users.title}
      lead={t.users.lead}
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={add}>
          {t.users.add}
        </Button>
      }
    >
      <Block flush>
        <PagedTable
          label={t.users.table}
          query={query}
          columns={shown}
          rowKey={(p) => p.id}
          empty={<Empty icon={<IconUsers size={22} />} title={t.users.empty} text={t.users.emptyText} />}
        />
      </Block>
    </Page>
  );
}

type AddProps = { close: () => void; customers: Customer[]; own?: string };

function AddUser({ close, customers, own }: AddProps) {
  const [customer, setCustomer] = useState(customers.length > 0 ? (own ?? null) : null);
  const operator = customer !== null && customer === own;
  const [email, setEmail] = useState('');
  const [name, setName] = useState('');
  const [role, setRole] = useState<RoleName>('developer');
  const [until, setUntil] = useState('');
  const audits = role === 'auditor';
  const lasting = operator && !audits;
  const [tried, setTried] = useState(false);
  const bad = !/^[^\s@]+@[^\s@]+$/.test(email.trim());
  return (
    <FormBox
      submit={t.users.add}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (bad || (audits && !until)) return false;
        const body = {
          email: email.trim(),
          name: name.trim(),
          role: lasting ? ('operator' as RoleName) : role,
          ...(audits && { until: `${until}T00:00:00Z` }),
          ...(customer && { customer }),
        };
        return must(api.POST('/v1/users', { body })).then(async (made) => {
          await refresh();
          close();
          tell(t.users.added(made.email));
        });
      }}
    >
      <TextInput
        label={t.users.email}
        type="email"
        value={email}
        onChange={(e) => setEmail(e.currentTarget.value)}
        error={tried && bad ? t.users.needEmail : null}
        data-autofocus
      />
      <TextInput label={t.common.name} value={name} onChange={(e) => setName(e.currentTarget.value)} />
      {customers.length > 0 && (
        <Select
          label={t.users.customer}
          description={t.users.customerHelp}
          searchable
          data={customers.map((c) => ({ value: c.id, label: c.name }))}
          value={customer}
          onChange={setCustomer}
        />
      )}
      <Select
        label={t.users.role}
        data={
          operator
            ? [{ value: 'operator', label: t.users.roles.operator ?? '' }, auditor]
            : [...roles, auditor]
        }
        value={lasting ? 'operator' : role}
        onChange={(v) => setRole((v ?? 'viewer') as RoleName)}
      />
      {audits && (
        <TextInput
          label={t.users.until}
          description={t.users.untilHelp}
          type="date"
          value={until}
          onChange={(e) => setUntil(e.currentTarget.value)}
          error={tried && !until ? t.users.needUntil : null}
        />
      )}
    </FormBox>
  );
}
