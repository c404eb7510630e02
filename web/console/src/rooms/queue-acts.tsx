import { Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { api, must } from '../api/client';
import { queryClient } from '../api/queries';
import type { QueueTarget } from '../api/shapes';
import { ask, openForm, tell } from '../parts/ask';
import { FormBox } from '../parts/form';
import { t } from '../texts';

export type Act = 'retry' | 'fail' | 'hold' | 'release';
export const acts: Act[] = ['retry', 'hold', 'release', 'fail'];

export const refresh = () => queryClient.invalidateQueries({ queryKey: ['queue'] });

const posts = {
  retry: (body: QueueTarget) => must(api.POST('/v1/queue/retry', { body })),
  fail: (body: QueueTarget) => must(api.POST('/v1/queue/fail', { body })),
  hold: (body: QueueTarget) => must(api.POST('/v1/queue/hold', { body })),
  release: (body: QueueTarget) => must(api.POST('/v1/queue/release', { body })),
};

/** Asks, acts, and says what came of it; what others may wonder about takes a reason. */
export function act(kind: Act, target: QueueTarget, what: string, done?: () => void) {
  if (kind === 'hold' || kind === 'fail') {
    openForm(t.queue.ask[kind](what), (close) => (
      <ReasonForm kind={kind} target={target} done={done} close={close} />
    ));
    return;
  }
  ask({
    title: t.queue.ask[kind](what),
    text: t.queue.askText[kind],
    confirm: t.queue[kind],
    act: () => run(kind, target, done),
  });
}

async function run(kind: Act, target: QueueTarget, done?: () => void) {
  const { count: n } = (await posts[kind](target)) ?? {};
  tell(t.queue.result[kind](n === undefined ? t.queue.someRecipients : t.queue.recipients(n)));
  done?.();
  await refresh();
}

type ReasonProps = { kind: 'hold' | 'fail'; target: QueueTarget; done?: () => void; close: () => void };

function ReasonForm({ kind, target, done, close }: ReasonProps) {
  const [reason, setReason] = useState('');
  return (
    <FormBox
      submit={t.queue[kind]}
      danger={kind === 'fail'}
      cancel={close}
      onSubmit={() => run(kind, { ...target, reason: reason.trim() || undefined }, done).then(close)}
    >
      <Text size="sm">{t.queue.askText[kind]}</Text>
      <TextInput
        label={t.queue.actReason}
        description={t.queue.actReasonHelp}
        maxLength={500}
        value={reason}
        onChange={(e) => setReason(e.currentTarget.value)}
        data-autofocus
      />
    </FormBox>
  );
}
