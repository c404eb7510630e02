import { Button, Group, Stack } from '@mantine/core';
import { type FormEvent, type ReactNode, useState } from 'react';
import { t } from '../texts';
import { ProblemNote } from './problem';

type FormBoxProps = {
  submit: string;
  /** Without it the form stands in the page and has no second button. */
  cancel?: () => void;
  /** Returns false where the input is not ready to be sent. */
  onSubmit: () => Promise<unknown> | false;
  danger?: boolean;
  children: ReactNode;
};

/** The frame of a form in a dialog: fields, refusal, and the two buttons. */
export function FormBox({ submit, cancel, onSubmit, danger, children }: FormBoxProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  async function run(event: FormEvent) {
    event.preventDefault();
    const sending = onSubmit();
    if (sending === false) return;
    setBusy(true);
    setError(null);
    try {
      await sending;
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  }
  return (
    <form onSubmit={run} noValidate>
      <Stack gap="md">
        {children}
        {error !== null && <ProblemNote error={error} />}
        <Group justify={cancel ? 'flex-end' : 'flex-start'} gap="sm">
          {cancel && (
            <Button variant="default" onClick={cancel} disabled={busy}>
              {t.common.cancel}
            </Button>
          )}
          <Button type="submit" loading={busy} color={danger ? 'red' : undefined}>
            {submit}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
