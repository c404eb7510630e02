import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { Counts } from '../api/shapes';

/** Counts as the server sends them every two seconds; `on` is false while the stream is down. */
export function useLive(): { counts: Counts | null; on: boolean } {
  const [counts, setCounts] = useState<Counts | null>(null);
  const [on, setOn] = useState(false);
  const client = useQueryClient();
  useEffect(() => {
    const stream = new EventSource('/v1/events/live');
    let accepted = -1;
    function take(event: MessageEvent<string>) {
      const next = readCounts(event.data);
      if (!next) return;
      setOn(true);
      setCounts(next);
      // A new message: the list of recent ones is out of date.
      if (accepted >= 0 && next.accepted_today !== accepted) {
        client.invalidateQueries({ queryKey: ['messages'] });
      }
      accepted = next.accepted_today;
    }
    stream.onmessage = take;
    stream.addEventListener('counts', take);
    stream.onerror = () => {
      setOn(false);
      setCounts(null); // the polled figures are newer from here on
    };
    return () => stream.close();
  }, [client]);
  return { counts, on };
}

export function readCounts(data: string): Counts | null {
  try {
    const value = JSON.parse(data) as Partial<Counts>;
    return typeof value.accepted_today === 'number'
      ? { deferred_now: 0, delivered_today: 0, failed_today: 0, queued_now: 0, accepted_today: 0, ...value }
      : null;
  } catch {
    return null;
  }
}
