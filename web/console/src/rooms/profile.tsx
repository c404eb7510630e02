import { PasswordInput, Stack, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Session } from '../api/shapes';
import { may } from '../may';
import { tell } from '../parts/ask';
import { Block, Facts } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { Page } from '../parts/page';
import { Loaded } from '../parts/problem';
import { t } from '../texts';
import { CloseAccount } from './ending';

/** One's own name and password. */
export function Profile() {
  const query = useQuery(q.session);
  return (
    <Page title={t.profile.title} lead={t.profile.lead}>
      <Loaded query={query}>
        {(session) => (
          <Stack gap="lg">
            <Block>
              <Facts
                items={[
                  [t.users.email, session.user?.email ?? t.common.nothing],
                  [t.profile.customer, session.customer.name],
                  [t.users.role, session.roles.map((r) => t.users.roles[r] ?? r).join(', ')],
                ]}
              />
            </Block>
            <Name session={session} />
            <Password />
            {may(session, 'contract:export') && session.roles.includes('owner') && (
              <CloseAccount session={session} />
            )}
          </Stack>
        )}
      </Loaded>
    </Page>
  );
}

function Name({ session }: { session: Session }) {
  const [name, setName] = useState(session.user?.name ?? '');
  return (
    <Block title={t.common.name}>
      <FormBox
        submit={t.common.save}
        onSubmit={() =>
          must(api.PATCH('/v1/session', { body: { name: name.trim() } })).then((changed) => {
            queryClient.setQueryData(q.session.queryKey, changed);
            tell(t.profile.named);
          })
        }
      >
        <TextInput
          label={t.common.name}
          autoComplete="name"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          maw={420}
        />
      </FormBox>
    </Block>
  );
}

const shortest = 12;

function Password() {
  const [current, setCurrent] = useState('');
  const [password, setPassword] = useState('');
  const [tried, setTried] = useState(false);
  const short = password.length < shortest;
  return (
    <Block title={t.profile.password} text={t.profile.passwordText}>
      <FormBox
        submit={t.profile.setPassword}
        onSubmit={() => {
          setTried(true);
          if (short) return false;
          const body = { password, ...(current && { current_password: current }) };
          return must(api.PATCH('/v1/session', { body })).then(() => {
            setCurrent('');
            setPassword('');
            setTried(false);
            tell(t.profile.passwordSet);
          });
        }}
      >
        <PasswordInput
          label={t.profile.current}
          description={t.profile.currentHelp}
          autoComplete="current-password"
          value={current}
          onChange={(e) => setCurrent(e.currentTarget.value)}
          maw={420}
        />
        <PasswordInput
          label={t.profile.fresh}
          description={t.profile.freshHelp}
          autoComplete="new-password"
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
          error={tried && short ? t.profile.tooShort : null}
          maw={420}
        />
      </FormBox>
    </Block>
  );
}
