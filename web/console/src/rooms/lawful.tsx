import {
  Button,
  Group,
  List,
  Radio,
  Select,
  SimpleGrid,
  Stack,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core';
import { IconGavel, IconPlus } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, bytes, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { LawfulRequest } from '../api/shapes';
import { openForm, tell } from '../parts/ask';
import { Block, Empty, State, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { count, dayFromNow } from '../parts/format';
import { useNames } from '../parts/names';
import { Page } from '../parts/page';
import { Loaded } from '../parts/problem';
import { saveAs } from '../parts/reader';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

const refresh = () => queryClient.invalidateQueries({ queryKey: ['lawful'] });

/** The register of authorities' requests, and what the public reads of it. */
export function Lawful() {
  const query = useInfiniteQuery(q.lawful);
  const names = useNames();
  const columns: Column<LawfulRequest>[] = [
    {
      id: 'case',
      title: t.lawful.case,
      lead: true,
      wrap: true,
      cell: (r) => (
        <>
          <strong>{r.case}</strong>
          <Text size="xs" c="dimmed">
            {r.authority}, {r.country}
          </Text>
        </>
      ),
    },
    { id: 'kind', title: t.lawful.kind, cell: (r) => t.lawful.kinds[r.kind] ?? r.kind },
    { id: 'law', title: t.lawful.law, wrap: true, cell: (r) => r.law },
    {
      id: 'customer',
      title: t.lawful.customer,
      wrap: true,
      cell: (r) => names.customer(r.customer) ?? t.lawful.noCustomer,
    },
    {
      id: 'state',
      title: t.common.state,
      cell: (r) => (
        <>
          <State state={r.state} />
          {r.exports > 0 && (
            <Text size="xs" c="dimmed">
              {t.lawful.taken(r.exports)}
            </Text>
          )}
        </>
      ),
    },
    { id: 'received', title: t.lawful.received, cell: (r) => <When at={r.received_at} /> },
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (r) => (r.state === 'open' ? <Acts of={r} /> : <When at={r.decided_at} />),
    },
  ];
  return (
    <Page
      title={t.lawful.title}
      lead={t.lawful.lead}
      actions={
        <Button
          leftSection={<IconPlus size={16} />}
          onClick={() => openForm(t.lawful.add, (close) => <Enter close={close} />, 'lg')}
        >
          {t.lawful.add}
        </Button>
      }
    >
      <Stack gap="lg">
        <Block flush>
          <PagedTable
            label={t.lawful.title}
            query={query}
            columns={columns}
            rowKey={(r) => r.id}
            empty={<Empty icon={<IconGavel size={22} />} title={t.lawful.empty} text={t.lawful.emptyText} />}
          />
        </Block>
        <Report />
      </Stack>
    </Page>
  );
}

function Report() {
  const query = useQuery(q.transparency);
  return (
    <Block title={t.lawful.report} text={t.lawful.reportText}>
      <Loaded query={query}>
        {({ platform: r }) => (
          <>
            <Text size="sm">{r.none || t.lawful.counted(r.total, r.persons)}</Text>
            {r.years.length > 0 && (
              <List size="sm" mt="xs">
                {r.years.map((y) => (
                  <List.Item key={y.year}>
                    {t.lawful.year(y.year, y.total)} (
                    {Object.entries(y.states)
                      .map(([state, n]) => `${t.state[state] ?? state}: ${count(n)}`)
                      .join(', ')}
                    )
                  </List.Item>
                ))}
              </List>
            )}
          </>
        )}
      </Loaded>
    </Block>
  );
}

function Acts({ of: r }: { of: LawfulRequest }) {
  return (
    <Group gap={6} justify="flex-end" wrap="nowrap">
      <Button
        size="compact-sm"
        variant="default"
        aria-label={t.lawful.decideOf(r.case)}
        onClick={() => openForm(t.lawful.decideOf(r.case), (close) => <Decide of={r} close={close} />)}
      >
        {t.lawful.decide}
      </Button>
      <Button
        size="compact-sm"
        variant="default"
        aria-label={t.lawful.handOutOf(r.case)}
        onClick={() => openForm(t.lawful.handOutOf(r.case), (close) => <HandOut of={r} close={close} />)}
      >
        {t.lawful.handOut}
      </Button>
    </Group>
  );
}

type Fields = Record<'case' | 'authority' | 'country' | 'law' | 'note', string>;

function Enter({ close }: { close: () => void }) {
  const { choice } = useNames();
  const [f, setFields] = useState<Fields>({ case: '', authority: '', country: '', law: '', note: '' });
  const [kind, setKind] = useState('data');
  const [customer, setCustomer] = useState<string | null>(null);
  const [received, setReceived] = useState(dayFromNow(0));
  const [tried, setTried] = useState(false);
  const field = (name: keyof Fields, more: object = {}) => (
    <TextInput
      label={t.lawful[name]}
      value={f[name]}
      maxLength={200}
      onChange={(e) => setFields({ ...f, [name]: e.currentTarget.value })}
      error={tried && !f[name].trim() ? t.lawful.need : null}
      {...more}
    />
  );
  return (
    <FormBox
      submit={t.lawful.add}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (!f.case.trim() || !f.authority.trim() || f.country.trim().length !== 2 || !f.law.trim())
          return false;
        const body = {
          case: f.case.trim(),
          authority: f.authority.trim(),
          country: f.country.trim().toUpperCase(),
          law: f.law.trim(),
          kind: kind as LawfulRequest['kind'],
          customer: customer ?? undefined,
          note: f.note.trim() || undefined,
          received_at: received && received !== dayFromNow(0) ? `${received}T00:00:00Z` : undefined,
        };
        return must(api.POST('/v1/lawful-requests', { body })).then(async () => {
          await refresh();
          close();
          tell(t.lawful.added);
        });
      }}
    >
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
        {field('case', { maxLength: 100, 'data-autofocus': true })}
        {field('authority')}
        {field('country', {
          maxLength: 2,
          description: t.lawful.countryHelp,
          error: tried && f.country.trim().length !== 2 ? t.lawful.countryHelp : null,
        })}
        {field('law', { description: t.lawful.lawHelp })}
        <Select
          label={t.lawful.kind}
          data={Object.entries(t.lawful.kinds).map(([value, label]) => ({ value, label }))}
          value={kind}
          onChange={(v) => setKind(v ?? 'data')}
        />
        <TextInput
          label={t.lawful.received}
          type="date"
          value={received}
          max={dayFromNow(0)}
          onChange={(e) => setReceived(e.currentTarget.value)}
        />
      </SimpleGrid>
      <Select
        label={t.lawful.customer}
        placeholder={t.lawful.noCustomer}
        data={choice}
        value={customer}
        onChange={setCustomer}
        clearable
        searchable
      />
      <Textarea
        label={t.lawful.note}
        autosize
        minRows={2}
        maxLength={2000}
        value={f.note}
        onChange={(e) => setFields({ ...f, note: e.currentTarget.value })}
      />
    </FormBox>
  );
}

function Decide({ of: r, close }: { of: LawfulRequest; close: () => void }) {
  const [state, setState] = useState(r.exports > 0 ? 'complied' : 'refused');
  const [persons, setPersons] = useState('0');
  return (
    <FormBox
      submit={t.lawful.decide}
      cancel={close}
      onSubmit={() => {
        const body = {
          state: state as 'refused',
          persons: state === 'refused' ? undefined : Number.parseInt(persons, 10) || 0,
        };
        return must(
          api.POST('/v1/lawful-requests/{id}/decision', { params: { path: { id: r.id } }, body }),
        ).then(async () => {
          await refresh();
          close();
          tell(t.lawful.decided);
        });
      }}
    >
      <Radio.Group label={t.lawful.decision} value={state} onChange={setState}>
        <Stack gap={6} mt={6}>
          {Object.entries(t.lawful.decisions).map(([value, label]) => (
            <Radio key={value} value={value} label={label} />
          ))}
        </Stack>
      </Radio.Group>
      {state !== 'refused' && (
        <TextInput
          label={t.lawful.persons}
          type="number"
          min={0}
          value={persons}
          onChange={(e) => setPersons(e.currentTarget.value)}
        />
      )}
    </FormBox>
  );
}

function HandOut({ of: r, close }: { of: LawfulRequest; close: () => void }) {
  const { choice } = useNames();
  const [customer, setCustomer] = useState<string | null>(r.customer ?? null);
  const [address, setAddress] = useState('');
  const [tried, setTried] = useState(false);
  const bad = !/^[^\s@]+@[^\s@]+$/.test(address.trim());
  return (
    <FormBox
      submit={t.lawful.handOut}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (bad || !customer) return false;
        const asked = { case: r.case, customer, address: address.trim() };
        return bytes('/v1/lawful-exports', undefined, asked).then(async (data) => {
          saveAs(data, `${r.id}.jsonl`);
          await refresh();
          close();
          tell(t.lawful.handedOut);
        });
      }}
    >
      <Text size="sm">{t.lawful.handOutText}</Text>
      <Select
        label={t.lawful.customer}
        data={choice}
        value={customer}
        onChange={setCustomer}
        searchable
        error={tried && !customer ? t.lawful.needCustomer : null}
      />
      <TextInput
        label={t.lawful.address}
        autoComplete="off"
        value={address}
        onChange={(e) => setAddress(e.currentTarget.value)}
        error={tried && bad ? t.lawful.needAddress : null}
        data-autofocus
      />
    </FormBox>
  );
}
