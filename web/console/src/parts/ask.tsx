import { Button, Group, Stack, Text } from '@mantine/core';
import { modals } from '@mantine/modals';
import { notifications } from '@mantine/notifications';
import { type ReactNode, useState } from 'react';
import { t } from '../texts';
import { ProblemNote } from './problem';

export function tell(message: string) {
  notifications.show({
    message,
    color: 'teal',
    withBorder: true,
    autoClose: 5000,
    closeButtonProps: { 'aria-label': t.common.close },
  });
}

type Question = {
  title: string;
  text: string;
  confirm: string;
  danger?: boolean;
  act: () => Promise<unknown>;
  children?: ReactNode;
  /** A second thing that may be done instead. */
  other?: { label: string; act: () => Promise<unknown> };
};

/** Asks before an act, shows that it is under way, and says why if it is refused. */
export function ask(question: Question) {
  const id = modals.open({
    title: question.title,
    size: 'md',
    children: <Asked question={question} close={() => modals.close(id)} />,
  });
}

function Asked({ question, close }: { question: Question; close: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  async function run(act: () => Promise<unknown>) {
    setBusy(true);
    setError(null);
    try {
      await act();
      close();
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  }
  return (
    <Stack gap="md">
      <Text size="sm">{question.text}</Text>
      {question.children}
      {error !== null && <ProblemNote error={error} />}
      <Group justify="flex-end" gap="sm">
        <Button variant="default" onClick={close} disabled={busy} data-autofocus>
          {t.common.cancel}
        </Button>
        {question.other && (
          <Button variant="default" disabled={busy} onClick={() => run(question.other?.act ?? question.act)}>
            {question.other.label}
          </Button>
        )}
        <Button color={question.danger ? 'red' : undefined} onClick={() => run(question.act)} loading={busy}>
          {question.confirm}
        </Button>
      </Group>
    </Stack>
  );
}

/** Opens a form in a dialog; the form gets the function that closes it. */
export function openForm(title: string, form: (close: () => void) => ReactNode, size: string = 'md') {
  const id = modals.open({ title, size, children: <Inner render={form} close={() => modals.close(id)} /> });
}

function Inner({ render, close }: { render: (close: () => void) => ReactNode; close: () => void }) {
  return <>{render(close)}</>;
}
