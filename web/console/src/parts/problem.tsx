import { Alert, Button, Center, Group, List, Loader, Stack, Text, Title } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Refusal } from '../api/client';
import { t } from '../texts';

/** What a refusal says, in words a person can act on. */
export function explain(error: unknown): { title: string; detail: string; hint?: string; fields: string[] } {
  if (!(error instanceof Refusal)) {
    return { title: t.problem.title, detail: t.problem.network, hint: t.problem.networkHint, fields: [] };
  }
  const p = error.problem;
  const denied = error.status === 403;
  return {
    title: p.title ?? t.problem.title,
    detail: p.detail ?? (denied ? t.problem.denied : t.problem.unknown),
    hint: p.hint ?? (denied ? deniedHint(p.detail) : undefined),
    fields: (p.errors ?? []).map((e) => [fieldName(e.location), e.message].filter(Boolean).join(': ')),
  };
}

/** What only operators have, no owner of a customer can give. */
function deniedHint(detail: string | undefined): string {
  return detail?.includes('platform:') ? t.problem.platform : t.problem.deniedHint;
}

/** "body.to[0]" is for programs; people get "to[0]". */
function fieldName(location: string | undefined): string {
  return (location ?? '').replace(/^(body|query|path)\./, '');
}

export function ProblemNote({ error, retry }: { error: unknown; retry?: () => void }) {
  const { title, detail, hint, fields } = explain(error);
  const denied = error instanceof Refusal && error.status === 403;
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle size={18} />} title={title} role="alert">
      <Stack gap={6}>
        <Text size="sm">{detail}</Text>
        {fields.length > 0 && (
          <List size="sm">
            {fields.map((f) => (
              <List.Item key={f}>{f}</List.Item>
            ))}
          </List>
        )}
        {hint && (
          <Text size="sm">
            <strong>{t.common.hint}</strong> {hint}
          </Text>
        )}
        {retry && !denied && (
          <Group>
            <Button size="compact-sm" variant="default" onClick={retry}>
              {t.common.retry}
            </Button>
          </Group>
        )}
      </Stack>
    </Alert>
  );
}

export function Waiting({ text }: { text?: string }) {
  return (
    <Center py={64} role="status" aria-live="polite">
      <Group gap="sm">
        <Loader size="sm" />
        <Text size="sm" c="dimmed">
          {text ?? t.common.loading}
        </Text>
      </Group>
    </Center>
  );
}

/** Shows a query: waiting, refused, or its data. */
export function Loaded<T>({
  query,
  children,
}: {
  query: UseQueryResult<T>;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <ProblemNote error={query.error} retry={() => query.refetch()} />;
  return <Waiting />;
}

export function Lost() {
  return (
    <Center py={96} px="md" component="main">
      <Stack align="center" gap={4} ta="center">
        <img src="/mark.svg" alt="" width={36} height={36} />
        <Title mt="md" order={1} size="h2">
          {t.problem.notFound}
        </Title>
        <Text c="dimmed" size="sm">
          {t.problem.notFoundText}
        </Text>
        <Button component="a" href="/" mt="md">
          {t.problem.toOverview}
        </Button>
      </Stack>
    </Center>
  );
}

export function Crash({ error }: { error: unknown }) {
  return (
    <Alert color="red" variant="light" title={t.problem.crash} role="alert">
      <Text size="sm">{t.problem.crashHint}</Text>
      <Text size="sm" ff="monospace" mt="xs">
        {error instanceof Error ? error.message : null}
      </Text>
    </Alert>
  );
}
