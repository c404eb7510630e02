import { Button, Group, List, MultiSelect, Select, Stack, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { api, must } from '../api/client';
import type { Incident, ScopeAnswer, ScopeSelector } from '../api/shapes';
import { openForm, tell } from '../parts/ask';
import { Block } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { count, localNow } from '../parts/format';
import { useNames } from '../parts/names';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';
import { at, refresh } from './incident';

type Affected = Incident['customers'][number];
type By = 'token' | 'user' | 'ip' | 'node';

/** What was read of a customer's data, category by category. */
function Read({ of: c }: { of: Affected }) {
  if (c.categories.length === 0) return t.incidents.notRead;
  return c.categories.map((k) => t.incidents.readOf(k.category, k.records)).join('; ');
}

function Customers({ list }: { list: Affected[] }) {
  const names = useNames();
  const columns: Column<Affected>[] = [
    {
      id: 'customer',
      title: t.incidents.customer,
      lead: true,
      wrap: true,
      cell: (c) => <strong>{names.customer(c.customer)}</strong>,
    },
    { id: 'read', title: t.incidents.read, wrap: true, cell: (c) => <Read of={c} /> },
    { id: 'persons', title: t.incidents.personsKnown, align: 'right', cell: (c) => count(c.persons) },
  ];
  return (
    <DataTable label={t.incidents.scopeTitle} columns={columns} rows={list} rowKey={(c) => c.customer} />
  );
}

function Unknown({ list }: { list: string[] }) {
  if (list.length === 0) return null;
  return (
    <>
      <Text size="sm" fw={560}>
        {t.incidents.unknown}
      </Text>
      <List size="sm" c="dimmed">
        {list.map((u) => (
          <List.Item key={u}>{u}</List.Item>
        ))}
      </List>
    </>
  );
}

type LookUpProps = { take: string; close: () => void; onTake: (s: ScopeSelector) => Promise<unknown> };

/** Asks the records of reads; what they say is shown before anything is done with it. */
export function LookUp({ take, close, onTake }: LookUpProps) {
  const [by, setBy] = useState<By>('token');
  const [what, setWhat] = useState('');
  const [from, setFrom] = useState(localNow(48));
  const [to, setTo] = useState('');
  const [tried, setTried] = useState(false);
  const [found, setFound] = useState<{ scope: ScopeSelector; answer: ScopeAnswer } | null>(null);
  const change = (set: (v: string) => void) => (v: string) => {
    setFound(null);
    set(v);
  };
  return (
    <FormBox
      submit={found ? take : t.incidents.lookUp}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (!what.trim() || !from) return false;
        if (found) return onTake(found.scope);
        const scope = {
          [by]: by === 'node' ? Number(what) : what.trim(),
          from: new Date(from).toISOString(),
          ...(to && { to: new Date(to).toISOString() }),
        } as ScopeSelector;
        return must(api.POST('/v1/incidents/scope', { body: scope })).then((answer) =>
          setFound({ scope, answer }),
        );
      }}
    >
      <Text size="sm">{t.incidents.lookUpText}</Text>
      <Group grow align="flex-start">
        <Select
          label={t.incidents.by}
          data={Object.entries(t.incidents.bys).map(([value, label]) => ({ value, label }))}
          value={by}
          onChange={(v) => change((x) => setBy(x as By))(v ?? 'token')}
        />
        <TextInput
          label={t.incidents.bys[by]}
          description={t.incidents.byHelp[by]}
          inputWrapperOrder={['label', 'input', 'description', 'error']}
          value={what}
          onChange={(e) => change(setWhat)(e.currentTarget.value)}
          error={tried && !what.trim() ? t.incidents.needBy : null}
          data-autofocus
        />
      </Group>
      <Group grow align="flex-start">
        <TextInput
          label={t.incidents.from}
          type="datetime-local"
          value={from}
          onChange={(e) => change(setFrom)(e.currentTarget.value)}
          error={tried && !from ? t.incidents.needFrom : null}
        />
        <TextInput
          label={t.incidents.to}
          description={t.incidents.toHelp}
          inputWrapperOrder={['label', 'input', 'description', 'error']}
          type="datetime-local"
          value={to}
          onChange={(e) => change(setTo)(e.currentTarget.value)}
        />
      </Group>
      {found && (
        <Stack gap="xs" role="status">
          <Text size="sm" fw={560}>
            {found.answer.reads === 0
              ? t.incidents.foundNothing
              : t.incidents.found(found.answer.reads, found.answer.records, found.answer.persons)}
          </Text>
          {found.answer.customers.length > 0 && <Customers list={found.answer.customers} />}
          <Unknown list={found.answer.unknown} />
        </Stack>
      )}
    </FormBox>
  );
}

/** Who is in scope of an incident, and adding to it. */
export function Scope({ of: x, manage }: { of: Incident; manage: boolean }) {
  const change = async (body: { scope?: ScopeSelector; customers?: string[] }) => {
    await must(api.PATCH('/v1/incidents/{id}', { ...at(x), body }));
    await refresh();
    tell(t.incidents.inScope);
  };
  const acts = manage && x.state !== 'closed' && (
    <Group gap="xs">
      <Button
        size="compact-sm"
        variant="default"
        onClick={() =>
          openForm(
            t.incidents.lookUp,
            (close) => (
              <LookUp
                take={t.incidents.take}
                close={close}
                onTake={(scope) => change({ scope }).then(close)}
              />
            ),
            'lg',
          )
        }
      >
        {t.incidents.lookUp}
      </Button>
      <Button
        size="compact-sm"
        variant="default"
        onClick={() =>
          openForm(t.incidents.addCustomers, (close) => (
            <Name close={close} onTake={(customers) => change({ customers }).then(close)} />
          ))
        }
      >
        {t.incidents.addCustomers}
      </Button>
    </Group>
  );
  return (
    <Block title={t.incidents.scopeTitle} text={t.incidents.scopeText} aside={acts || undefined}>
      <Stack gap="sm">
        {x.customers.length > 0 ? (
          <Customers list={x.customers} />
        ) : (
          <Text size="sm">{t.incidents.noScope}</Text>
        )}
        <Unknown list={x.unknown} />
      </Stack>
    </Block>
  );
}

function Name({ close, onTake }: { close: () => void; onTake: (customers: string[]) => Promise<unknown> }) {
  const { choice } = useNames();
  const [customers, setCustomers] = useState<string[]>([]);
  return (
    <FormBox
      submit={t.incidents.take}
      cancel={close}
      onSubmit={() => customers.length > 0 && onTake(customers)}
    >
      <MultiSelect
        label={t.incidents.customers}
        description={t.incidents.customersText}
        data={choice}
        value={customers}
        onChange={setCustomers}
        searchable
        data-autofocus
      />
    </FormBox>
  );
}
