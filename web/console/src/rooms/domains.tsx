import { Button, Stack, Text, TextInput } from '@mantine/core';
import { IconPlus, IconRefresh, IconTrash, IconWorld } from '@tabler/icons-react';
import { useInfiniteQuery, useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Domain, DomainRecord } from '../api/shapes';
import { ask, openForm, tell } from '../parts/ask';
import { Block, CopyLine, Empty, Facts, State, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { RoomLink } from '../parts/link';
import { Page } from '../parts/page';
import { Loaded, ProblemNote } from '../parts/problem';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';
import css from './domains.module.css';

const columns: Column<Domain>[] = [
  {
    id: 'name',
    title: t.domains.name,
    lead: true,
    cell: (d) => (
      <RoomLink to="/domains/$id" params={{ id: d.id }} className={css.link}>
        {d.name}
      </RoomLink>
    ),
  },
  { id: 'state', title: t.common.state, cell: (d) => <State state={d.state} /> },
  {
    id: 'checked',
    title: t.domains.lastCheck,
    cell: (d) => <When at={d.checked_at} none={t.common.never} />,
  },
];

export function Domains() {
  const query = useInfiniteQuery(q.domains);
  const add = () => openForm(t.domains.add, (close) => <AddDomain close={close} />);
  const button = (
    <Button leftSection={<IconPlus size={16} />} onClick={add}>
      {t.domains.add}
    </Button>
  );
  return (
    <Page title={t.domains.title} lead={t.domains.lead} actions={button}>
      <Block flush>
        <PagedTable
          label={t.domains.table}
          query={query}
          columns={columns}
          rowKey={(d) => d.id}
          empty={<Empty icon={<IconWorld size={22} />} title={t.domains.empty} text={t.domains.emptyText} />}
        />
      </Block>
    </Page>
  );
}

function AddDomain({ close }: { close: () => void }) {
  const navigate = useNavigate();
  const [name, setName] = useState('');
  const [tried, setTried] = useState(false);
  const clean = name.trim().toLowerCase().replace(/\.$/, '');
  const wrong = !/^[^\s@/:]+\.[^\s@/:]+$/.test(clean);
  return (
    <FormBox
      submit={t.domains.add}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (wrong) return false;
        return must(api.POST('/v1/domains', { body: { name: clean } })).then(async (made) => {
          queryClient.setQueryData(['domains', made.id], made);
          await queryClient.invalidateQueries({ queryKey: ['domains'] });
          close();
          tell(t.domains.added(made.name));
          await navigate({ to: '/domains/$id', params: { id: made.id } });
        });
      }}
    >
      <TextInput
        label={t.domains.name}
        description={t.domains.addText}
        placeholder={t.domains.placeholder}
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        error={tried && wrong ? t.domains.needName : null}
        spellCheck={false}
        autoCapitalize="none"
        data-autofocus
      />
    </FormBox>
  );
}

export function DomainRoom() {
  const { id } = useParams({ from: '/shell/domains/$id' });
  const navigate = useNavigate();
  const query = useQuery(q.domain(id));
  const [looked, setLooked] = useState(false);
  const check = useMutation({
    mutationFn: () => must(api.POST('/v1/domains/{id}/check', { params: { path: { id } } })),
    onSuccess: (checked) => {
      queryClient.setQueryData(['domains', id], checked);
      setLooked(true);
      const records = checked.records ?? [];
      const ok = records.filter((r) => r.ok).length;
      tell(ok === records.length ? t.domains.checked : t.domains.checkedPart(ok, records.length));
    },
  });
  const name = query.data?.name ?? '';
  const remove = () =>
    ask({
      title: t.domains.removeTitle(name),
      text: t.domains.removeText,
      confirm: t.domains.remove,
      danger: true,
      act: async () => {
        await must(api.DELETE('/v1/domains/{id}', { params: { path: { id } } }));
        await navigate({ to: '/domains' });
        await queryClient.invalidateQueries({ queryKey: ['domains'] });
        tell(t.domains.removed(name));
      },
    });
  return (
    <Page
      title={query.data?.name ?? t.domains.title}
      back={{ to: '/domains', label: t.domains.title }}
      actions={
        query.data && (
          <>
            <Button variant="default" leftSection={<IconTrash size={16} />} onClick={remove}>
              {t.common.remove}
            </Button>
            <Button
              leftSection={<IconRefresh size={16} />}
              loading={check.isPending}
              onClick={() => check.mutate()}
            >
              {t.domains.check}
            </Button>
          </>
        )
      }
    >
      <Stack gap="lg">
        {check.isError && <ProblemNote error={check.error} />}
        <Loaded query={query}>{(d) => <Detail domain={d} looked={looked} />}</Loaded>
      </Stack>
    </Page>
  );
}

/** What stands in the DNS is known only after a look: the server does not keep it. */
function Detail({ domain, looked }: { domain: Domain; looked: boolean }) {
  return (
    <>
      <Block>
        <Facts
          items={[
            [t.common.state, <State key="s" state={domain.state} />],
            [t.domains.lastCheck, <When key="c" at={domain.checked_at} none={t.common.never} />],
            [t.common.created, <When key="a" at={domain.created_at} />],
          ]}
        />
      </Block>
      <Block title={t.domains.records} text={t.domains.recordsText} flush>
        <ul className={css.records}>
          {(domain.records ?? []).map((r) => (
            <Record key={`${r.type} ${r.name} ${r.value}`} record={r} looked={looked} />
          ))}
        </ul>
      </Block>
    </>
  );
}

function Record({ record, looked }: { record: DomainRecord; looked: boolean }) {
  const found = record.found ?? [];
  const state = record.ok ? 'found' : !looked ? 'unknown' : found.length ? 'different' : 'missing';
  return (
    <li className={css.record}>
      <div className={css.recordHead}>
        <span className={css.type}>{record.type}</span>
        <Text size="sm" className={css.purpose}>
          {t.domains.purposes[record.purpose] ?? record.purpose}
          {record.needed && <span className={css.needed}>{t.domains.needed}</span>}
        </Text>
        <State state={state} />
      </div>
      <div className={css.fields}>
        <span className={css.fieldLabel}>{t.domains.host}</span>
        <CopyLine value={record.name} label={t.domains.host} wrap />
        <span className={css.fieldLabel}>{t.domains.expected}</span>
        <CopyLine value={record.value} label={t.domains.expected} wrap />
        {!record.ok && looked && (
          <>
            <span className={css.fieldLabel}>{t.domains.found}</span>
            <div className={css.found}>
              {found.length === 0 ? t.domains.foundNothing : found.map((f) => <code key={f}>{f}</code>)}
            </div>
          </>
        )}
      </div>
    </li>
  );
}
