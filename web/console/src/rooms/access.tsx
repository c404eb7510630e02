import { ActionIcon, Button, Checkbox, Radio, Select, Stack, TextInput } from '@mantine/core';
import { IconKey, IconPlus, IconServer, IconTrash } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Credential, Token } from '../api/shapes';
import { ask, openForm, tell } from '../parts/ask';
import { Block, Empty, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { Page } from '../parts/page';
import { showSecret } from '../parts/secret';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

function revoke(name: string, key: string, call: () => Promise<unknown>) {
  ask({
    title: t.access.revokeTitle(name),
    text: t.access.revokeText,
    confirm: t.access.revoke,
    danger: true,
    act: async () => {
      await call();
      await queryClient.invalidateQueries({ queryKey: [key] });
      tell(t.access.revoked(name));
    },
  });
}

function Bin({ name, onClick }: { name: string; onClick: () => void }) {
  return (
    <ActionIcon variant="subtle" color="gray" onClick={onClick} aria-label={t.access.revokeTitle(name)}>
      <IconTrash size={16} />
    </ActionIcon>
  );
}

const revokeToken = (token: Token) =>
  revoke(token.name, 'tokens', () =>
    must(api.DELETE('/v1/tokens/{id}', { params: { path: { id: token.id } } })),
  );

const tokenColumns: Column<Token>[] = [
  { id: 'name', title: t.common.name, lead: true, cell: (k) => <strong>{k.name}</strong> },
  {
    id: 'scopes',
    title: t.access.scopes,
    grow: true,
    cell: (k) => <span title={(k.scopes ?? []).join(', ')}>{(k.scopes ?? []).join(', ')}</span>,
  },
  { id: 'expires', title: t.access.expiry, cell: (k) => <When at={k.expires_at} none={t.common.never} /> },
  { id: 'used', title: t.access.lastUsed, cell: (k) => <When at={k.last_used_at} none={t.common.never} /> },
  {
    id: 'acts',
    title: t.common.actions,
    align: 'right',
    cell: (k) => <Bin name={k.name} onClick={() => revokeToken(k)} />,
  },
];

const credentialName = (c: Credential) => c.name || c.network || c.username || c.id;
const revokeCredential = (c: Credential) =>
  revoke(credentialName(c), 'credentials', () =>
    must(api.DELETE('/v1/credentials/{id}', { params: { path: { id: c.id } } })),
  );

const credentialColumns: Column<Credential>[] = [
  { id: 'name', title: t.common.name, lead: true, cell: (c) => <strong>{credentialName(c)}</strong> },
  {
    id: 'username',
    title: t.access.username,
    cell: (c) => <code>{c.username || c.network || t.common.nothing}</code>,
  },
  { id: 'created', title: t.common.created, cell: (c) => <When at={c.created_at} /> },
  { id: 'used', title: t.access.lastUsed, cell: (c) => <When at={c.last_used_at} none={t.common.never} /> },
  {
    id: 'acts',
    title: t.common.actions,
    align: 'right',
    cell: (c) => <Bin name={credentialName(c)} onClick={() => revokeCredential(c)} />,
  },
];

export function Access() {
  const tokens = useInfiniteQuery(q.tokens);
  const credentials = useInfiniteQuery(q.credentials);
  const addToken = () => openForm(t.access.addToken, (close) => <AddToken close={close} />);
  const addCredential = () => openForm(t.access.addCredential, (close) => <AddCredential close={close} />);
  return (
    <Page title={t.access.title} lead={t.access.lead}>
      <Stack gap="lg">
        <Block
          flush
          title={t.access.tokens}
          text={t.access.tokensText}
          aside={
            <Button leftSection={<IconPlus size={16} />} onClick={addToken}>
              {t.access.addToken}
            </Button>
          }
        >
          <PagedTable
            label={t.access.tokens}
            query={tokens}
            columns={tokenColumns}
            rowKey={(k) => k.id}
            empty={
              <Empty
                icon={<IconKey size={22} />}
                title={t.access.emptyTokens}
                text={t.access.emptyTokensText}
              />
            }
          />
        </Block>
        <Block
          flush
          title={t.access.credentials}
          text={t.access.credentialsText}
          aside={
            <Button leftSection={<IconPlus size={16} />} onClick={addCredential}>
              {t.access.addCredential}
            </Button>
          }
        >
          <PagedTable
            label={t.access.credentials}
            query={credentials}
            columns={credentialColumns}
            rowKey={(c) => c.id}
            empty={
              <Empty
                icon={<IconServer size={22} />}
                title={t.access.emptyCredentials}
                text={t.access.emptyCredentialsText}
              />
            }
          />
        </Block>
      </Stack>
    </Page>
  );
}

const day = 86_400_000;
const expiries = [
  { value: '0', label: t.access.expiryNever },
  { value: '30', label: t.access.expiry30 },
  { value: '90', label: t.access.expiry90 },
  { value: '365', label: t.access.expiry365 },
];

function AddToken({ close }: { close: () => void }) {
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<string[]>(['messages:send']);
  const [days, setDays] = useState('0');
  const [tried, setTried] = useState(false);
  return (
    <FormBox
      submit={t.access.addToken}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (!name.trim() || scopes.length === 0) return false;
        const lasts = Number(days);
        const expires_at = lasts ? new Date(Date.now() + lasts * day).toISOString() : undefined;
        return must(api.POST('/v1/tokens', { body: { name: name.trim(), scopes, expires_at } })).then(
          async (made) => {
            await queryClient.invalidateQueries({ queryKey: ['tokens'] });
            close();
            showSecret(t.access.secretTitle, t.access.secretText, [
              { label: t.access.token, value: made.secret ?? '' },
            ]);
          },
        );
      }}
    >
      <TextInput
        label={t.access.tokenName}
        placeholder={t.access.tokenNamePlaceholder}
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        error={tried && !name.trim() ? t.access.needName : null}
        data-autofocus
      />
      <Checkbox.Group
        label={t.access.scopes}
        value={scopes}
        onChange={setScopes}
        error={tried && scopes.length === 0 ? t.access.needScope : null}
      >
        <Stack gap={8} mt={6}>
          {Object.entries(t.access.scopeSays).map(([scope, says]) => (
            <Checkbox key={scope} value={scope} label={says} description={scope} size="xs" />
          ))}
        </Stack>
      </Checkbox.Group>
      <Select label={t.access.expiry} data={expiries} value={days} onChange={(v) => setDays(v ?? '0')} />
    </FormBox>
  );
}

function AddCredential({ close }: { close: () => void }) {
  const [kind, setKind] = useState('password');
  const [name, setName] = useState('');
  const [network, setNetwork] = useState('');
  const [tried, setTried] = useState(false);
  const byNetwork = kind === 'network';
  const badNetwork = !/^[0-9a-f.:]+\/\d{1,3}$/i.test(network.trim());
  return (
    <FormBox
      submit={t.access.addCredential}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (byNetwork ? badNetwork : !name.trim()) return false;
        const body = byNetwork
          ? { name: name.trim() || network.trim(), network: network.trim() }
          : { name: name.trim() };
        return must(api.POST('/v1/credentials', { body })).then(async (made) => {
          await queryClient.invalidateQueries({ queryKey: ['credentials'] });
          close();
          if (!made.password) return;
          showSecret(t.access.secretTitle, t.access.secretText, [
            { label: t.access.username, value: made.username ?? '' },
            { label: t.access.password, value: made.password },
          ]);
        });
      }}
    >
      <Radio.Group label={t.access.kind} value={kind} onChange={setKind}>
        <Stack gap={6} mt={6}>
          <Radio value="password" label={t.access.kindPassword} size="xs" />
          <Radio value="network" label={t.access.kindNetwork} size="xs" />
        </Stack>
      </Radio.Group>
      <TextInput
        label={t.access.tokenName}
        placeholder={t.access.tokenNamePlaceholder}
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
        error={tried && !byNetwork && !name.trim() ? t.access.needName : null}
        data-autofocus
      />
      {byNetwork && (
        <TextInput
          label={t.access.network}
          description={t.access.networkHelp}
          placeholder={t.access.networkPlaceholder}
          value={network}
          onChange={(e) => setNetwork(e.currentTarget.value)}
          error={tried && badNetwork ? t.access.needNetwork : null}
        />
      )}
    </FormBox>
  );
}
