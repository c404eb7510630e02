import { ActionIcon, Button, Checkbox, Group, TextInput } from '@mantine/core';
import { IconPencil, IconPlus, IconRoute, IconTrash } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Route } from '../api/shapes';
import { ask, openForm, tell } from '../parts/ask';
import { Block, Empty, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { Page } from '../parts/page';
import { showSecret } from '../parts/secret';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

const refresh = () => queryClient.invalidateQueries({ queryKey: ['routes'] });

function remove(route: Route) {
  ask({
    title: t.routes.removeTitle(route.recipient),
    text: t.routes.removeText,
    confirm: t.routes.remove,
    danger: true,
    act: async () => {
      await must(api.DELETE('/v1/routes/{id}', { params: { path: { id: route.id } } }));
      await refresh();
      tell(t.routes.removed);
    },
  });
}

const change = (route: Route) =>
  openForm(t.routes.changeTitle(route.recipient), (close) => <ChangeRoute route={route} close={close} />);

const columns: Column<Route>[] = [
  { id: 'recipient', title: t.routes.recipient, lead: true, cell: (r) => <strong>{r.recipient}</strong> },
  {
    id: 'url',
    title: t.routes.url,
    grow: true,
    cell: (r) => <code title={r.webhook.url}>{r.webhook.url}</code>,
  },
  { id: 'created', title: t.common.created, cell: (r) => <When at={r.created_at} /> },
  {
    id: 'acts',
    title: t.common.actions,
    align: 'right',
    cell: (r) => (
      <Group gap={4} justify="flex-end" wrap="nowrap" display="inline-flex">
        <ActionIcon
          variant="subtle"
          color="gray"
          onClick={() => change(r)}
          aria-label={t.routes.changeTitle(r.recipient)}
        >
          <IconPencil size={16} />
        </ActionIcon>
        <ActionIcon
          variant="subtle"
          color="gray"
          onClick={() => remove(r)}
          aria-label={t.routes.removeTitle(r.recipient)}
        >
          <IconTrash size={16} />
        </ActionIcon>
      </Group>
    ),
  },
];

export function Routes() {
  const query = useInfiniteQuery(q.routes);
  const add = () => openForm(t.routes.add, (close) => <AddRoute close={close} />);
  return (
    <Page
      title={t.routes.title}
      lead={t.routes.lead}
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={add}>
          {t.routes.add}
        </Button>
      }
    >
      <Block flush>
        <PagedTable
          label={t.routes.table}
          query={query}
          columns={columns}
          rowKey={(r) => r.id}
          empty={<Empty icon={<IconRoute size={22} />} title={t.routes.empty} text={t.routes.emptyText} />}
        />
      </Block>
    </Page>
  );
}

function tellSecret(route: Route) {
  if (!route.webhook.secret) return;
  showSecret(t.routes.secretTitle, t.routes.secretText, [
    { label: t.routes.secretTitle, value: route.webhook.secret },
  ]);
}

const notUrl = (url: string) => !/^https?:\/\/[^\s]+$/.test(url.trim());

function ChangeRoute({ route, close }: { route: Route; close: () => void }) {
  const [url, setUrl] = useState(route.webhook.url);
  const [renew, setRenew] = useState(false);
  const [tried, setTried] = useState(false);
  return (
    <FormBox
      submit={t.common.save}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (notUrl(url)) return false;
        const webhook = { url: url.trim(), ...(renew && { new_secret: true }) };
        const path = { id: route.id };
        return must(api.PATCH('/v1/routes/{id}', { params: { path }, body: { webhook } })).then(
          async (made) => {
            await refresh();
            close();
            tell(t.routes.changed);
            tellSecret(made);
          },
        );
      }}
    >
      <TextInput
        label={t.routes.url}
        description={t.routes.urlHelp}
        type="url"
        value={url}
        onChange={(e) => setUrl(e.currentTarget.value)}
        error={tried && notUrl(url) ? t.routes.needUrl : null}
        data-autofocus
      />
      <Checkbox
        label={t.routes.renew}
        description={t.routes.renewHelp}
        checked={renew}
        onChange={(e) => setRenew(e.currentTarget.checked)}
      />
    </FormBox>
  );
}

function AddRoute({ close }: { close: () => void }) {
  const [recipient, setRecipient] = useState('');
  const [url, setUrl] = useState('');
  const [tried, setTried] = useState(false);
  const badRecipient = !/^[^\s@]+@[^\s@]+$/.test(recipient.trim());
  const badUrl = notUrl(url);
  return (
    <FormBox
      submit={t.routes.add}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (badRecipient || badUrl) return false;
        const body = { recipient: recipient.trim(), webhook: { url: url.trim() } };
        return must(api.POST('/v1/routes', { body })).then(async (made) => {
          await refresh();
          close();
          tellSecret(made);
        });
      }}
    >
      <TextInput
        label={t.routes.recipient}
        description={t.routes.recipientHelp}
        placeholder={t.routes.recipientPlaceholder}
        value={recipient}
        onChange={(e) => setRecipient(e.currentTarget.value)}
        error={tried && badRecipient ? t.routes.needRecipient : null}
        spellCheck={false}
        autoCapitalize="none"
        data-autofocus
      />
      <TextInput
        label={t.routes.url}
        description={t.routes.urlHelp}
        placeholder={t.routes.urlPlaceholder}
        type="url"
        value={url}
        onChange={(e) => setUrl(e.currentTarget.value)}
        error={tried && badUrl ? t.routes.needUrl : null}
      />
    </FormBox>
  );
}
