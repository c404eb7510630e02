import { Button, Checkbox, Group, List, Stack, Text, TextInput } from '@mantine/core';
import { IconDoorExit, IconDownload } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Session } from '../api/shapes';
import { ask, openForm, tell } from '../parts/ask';
import { Block, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { Loaded } from '../parts/problem';
import { t } from '../texts';

const refresh = () =>
  Promise.all(
    ['termination', 'customers', 'overview'].map((key) => queryClient.invalidateQueries({ queryKey: [key] })),
  );

/** The end of one's own contract: what will happen and when, the export, the order and the way back. */
export function CloseAccount({ session }: { session: Session }) {
  const query = useQuery(q.termination);
  const { id, name } = session.customer;
  return (
    <Block title={t.ending.title} text={t.ending.text}>
      <Loaded query={query}>
        {(end) => (
          <Stack gap="md">
            <Text size="sm">{t.ending.states[end.state]}</Text>
            <List size="sm" spacing={4}>
              <List.Item>
                {t.ending.ends}{' '}
                {end.state === 'none' ? t.ending.whenOrdered : <When at={end.ends_at} exact />}
              </List.Item>
              <List.Item>
                {t.ending.destroys} <When at={end.destroy_at} exact />
              </List.Item>
              <List.Item>
                {t.ending.goneBy} <When at={end.gone_by} exact />
              </List.Item>
            </List>
            <Group gap="sm">
              <Button
                component="a"
                variant="default"
                href="/v1/termination/export"
                download
                leftSection={<IconDownload size={16} />}
              >
                {t.ending.download}
              </Button>
              {end.undoable && (
                <Button variant="default" onClick={() => undo(name)}>
                  {t.ending.undo}
                </Button>
              )}
              {(end.state === 'none' || end.undoable) && (
                <Button
                  color="red"
                  variant="outline"
                  leftSection={<IconDoorExit size={16} />}
                  onClick={() =>
                    openForm(t.ending.order, (close) => (
                      <OrderEnd customer={id} name={name} close={close} own ordered={end.undoable} />
                    ))
                  }
                >
                  {end.undoable ? t.ending.hasten : t.ending.order}
                </Button>
              )}
            </Group>
          </Stack>
        )}
      </Loaded>
    </Block>
  );
}

function undo(name: string, customer?: string) {
  ask({
    title: t.ending.undoTitle(name),
    text: t.ending.undoText,
    confirm: t.ending.undo,
    act: async () => {
      await must(api.POST('/v1/termination/undo', { body: customer ? { customer } : {} }));
      await refresh();
      tell(t.ending.undone(name));
    },
  });
}

/** The operator's way to end, or to take back the end of, a customer's contract. */
export function EndContract({
  customer: c,
}: {
  customer: { id: string; name: string; ends_at: string | null };
}) {
  if (c.ends_at) {
    return (
      <Button
        size="compact-sm"
        variant="default"
        aria-label={t.ending.undoTitle(c.name)}
        onClick={() => undo(c.name, c.id)}
      >
        {t.ending.undo}
      </Button>
    );
  }
  return (
    <Button
      size="compact-sm"
      variant="default"
      leftSection={<IconDoorExit size={14} />}
      aria-label={`${t.ending.end}: ${c.name}`}
      onClick={() =>
        openForm(t.ending.endOf(c.name), (close) => <OrderEnd customer={c.id} name={c.name} close={close} />)
      }
    >
      {t.ending.end}
    </Button>
  );
}

type OrderProps = { customer: string; name: string; close: () => void; own?: boolean; ordered?: boolean };

function OrderEnd({ customer, name, close, own, ordered }: OrderProps) {
  const [typed, setTyped] = useState('');
  const [at, setAt] = useState('');
  const [once, setOnce] = useState(Boolean(ordered));
  const [tried, setTried] = useState(false);
  const wrong = typed !== name;
  return (
    <FormBox
      submit={ordered ? t.ending.hasten : t.ending.order}
      cancel={close}
      danger
      onSubmit={() => {
        setTried(true);
        if (wrong) return false;
        const body = {
          confirm: typed,
          ...(!own && { customer }),
          ...(at && !ordered && { ends_at: new Date(at).toISOString() }),
          ...(own && once && { delete_at_once: true }),
        };
        return must(api.POST('/v1/termination', { body })).then(async () => {
          await refresh();
          close();
          tell(t.ending.ordered(name));
        });
      }}
    >
      <Text size="sm">{ordered ? t.ending.hastenText : t.ending.orderText}</Text>
      {!ordered && (
        <TextInput
          type="datetime-local"
          label={t.ending.at}
          description={t.ending.atHelp}
          value={at}
          onChange={(e) => setAt(e.currentTarget.value)}
        />
      )}
      {own && !ordered && (
        <Checkbox
          label={t.ending.once}
          description={t.ending.onceHelp}
          checked={once}
          onChange={(e) => setOnce(e.currentTarget.checked)}
        />
      )}
      <TextInput
        label={t.ending.confirm(name)}
        value={typed}
        onChange={(e) => setTyped(e.currentTarget.value)}
        error={tried && wrong ? t.ending.needName : null}
        autoComplete="off"
        data-autofocus
      />
    </FormBox>
  );
}
