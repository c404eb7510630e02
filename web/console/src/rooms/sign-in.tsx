import { Alert, Anchor, Button, Paper, PasswordInput, Stack, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import { ProblemNote, Waiting } from '../parts/problem';
import { t } from '../texts';
import css from './sign-in.module.css';

/** Only a path of this console may follow: never another host. */
export function safeNext(next: string | undefined): string {
  if (!next?.startsWith('/') || /^\/[/\\]/.test(next) || next.startsWith('/sign-in')) return '/';
  return next;
}

export function SignIn() {
  const { link, next } = useSearch({ from: '/sign-in' });
  const navigate = useNavigate();
  const enter = useMutation({
    mutationFn: (body: { link: string } | { email: string; password: string }) =>
      must(api.POST('/v1/session', { body })),
    onSuccess: async (session) => {
      queryClient.setQueryData(q.session.queryKey, session);
      await navigate({ href: safeNext(next), replace: true });
    },
  });
  const tried = useRef(false);
  useEffect(() => {
    document.title = t.titleOf(t.signIn.title);
    if (!link || tried.current) return;
    tried.current = true; // the link works once, and effects run twice in development
    enter.mutate({ link });
  }, [link, enter.mutate]);

  const byLink = enter.variables !== undefined && 'link' in enter.variables;
  return (
    <main className={css.page}>
      <div className={css.column}>
        <div className={css.brand}>
          <img src="/mark.svg" alt="" width={36} height={36} />
          <span>{t.product}</span>
        </div>
        <Paper withBorder radius="lg" p="xl" className={css.card}>
          {byLink && !enter.isError ? (
            <Waiting text={t.signIn.byLink} />
          ) : (
            <Stack gap="md">
              <div>
                <h1 className={css.title}>{t.signIn.title}</h1>
                <Text c="dimmed" size="sm">
                  {t.signIn.lead}
                </Text>
              </div>
              {enter.isError && byLink && (
                <Alert color="orange" variant="light" title={t.signIn.linkUsed} role="alert">
                  {t.signIn.linkUsedHint}
                </Alert>
              )}
              {enter.isError && !byLink && <ProblemNote error={enter.error} />}
              <Form busy={enter.isPending} submit={(v) => enter.mutate(v)} />
              <Text c="dimmed" size="xs">
                {t.signIn.noPassword}
              </Text>
            </Stack>
          )}
        </Paper>
        <Text c="dimmed" size="xs" mt="md" ta="center">
          {t.signIn.stored}{' '}
          <Anchor href="/cookies" size="xs" underline="always">
            {t.signIn.storedMore}
          </Anchor>
        </Text>
      </div>
    </main>
  );
}

function Form({ busy, submit }: { busy: boolean; submit: (v: { email: string; password: string }) => void }) {
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [tried, setTried] = useState(false);
  const bad = { email: !email.includes('@'), password: !password };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        setTried(true);
        if (!bad.email && !bad.password) submit({ email, password });
      }}
      noValidate
    >
      <Stack gap="sm">
        <TextInput
          label={t.signIn.email}
          type="email"
          autoComplete="username"
          value={email}
          onChange={(e) => setEmail(e.currentTarget.value)}
          error={tried && bad.email ? t.signIn.needEmail : null}
        />
        <PasswordInput
          label={t.signIn.password}
          autoComplete="current-password"
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
          error={tried && bad.password ? t.signIn.needPassword : null}
        />
        <Button type="submit" loading={busy} fullWidth mt="xs" size="md">
          {t.signIn.submit}
        </Button>
      </Stack>
    </form>
  );
}
