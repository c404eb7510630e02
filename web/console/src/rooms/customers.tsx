import { Button, TextInput } from '@mantine/core';
import { IconBuilding, IconPlus } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Customer } from '../api/shapes';
import { openForm, tell } from '../parts/ask';
import { Block, CopyIcon, Empty, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { Page } from '../parts/page';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

const columns: Column<Customer>[] = [
  { id: 'name', title: t.customers.name, lead: true, cell: (c) => <strong>{c.name}</strong> },
  {
    id: 'id',
    title: t.customers.id,
    cell: (c) => (
      <>
        <code>{c.id}</code> <CopyIcon value={c.id} label={t.common.copyOf(t.customers.id)} />
      </>
    ),
  },
  { id: 'created', title: t.common.created, cell: (c) => <When at={c.created_at} /> },
];

export function Customers() {
  const query = useInfiniteQuery(q.customers);
  const add = () => openForm(t.customers.add, (close) => <AddCustomer close={close} />);
  return (
    <Page
      title={t.customers.title}
      lead={t.customers.lead}
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={add}>
          {t.customers.add}
        </Button>
      }
    >
      <Block flush>
        <PagedTable
          label={t.customers.table}
          query={query}
          columns={columns}
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
  return (
    <FormBox
      submit={t.customers.add}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (!name.trim()) return false;
        return must(api.POST('/v1/customers', { body: { name: name.trim() } })).then(async (made) => {
          await queryClient.invalidateQueries({ queryKey: ['customers'] });
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
    </FormBox>
  );
}
