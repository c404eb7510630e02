/** How times, sizes and counts are written. Pure functions; the zone is the reader's. */

const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const dayYear = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const clockExact = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const ago = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' });

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** Microseconds are cut: Date keeps milliseconds. Null for what is no time. */
export function parseTime(at: string | null | undefined): Date | null {
  if (!at) return null;
  const date = new Date(at);
  return Number.isNaN(date.getTime()) || date.getUTCFullYear() < 1971 ? null : date;
}

/** "5 min. ago" within the hour, "14:05" today, "3 May 14:05" this year. */
export function nearTime(date: Date, now: Date): string {
  const gone = date.getTime() - now.getTime();
  if (Math.abs(gone) < 45 * second) return ago.format(0, 'second');
  if (Math.abs(gone) < hour) return ago.format(Math.round(gone / minute), 'minute');
  if (date.toDateString() === now.toDateString()) return clock.format(date);
  const stem = date.getFullYear() === now.getFullYear() ? day : dayYear;
  return `${stem.format(date)} ${clock.format(date)}`;
}

/** The full local date and time with seconds. */
export function exactTime(date: Date): string {
  return `${dayYear.format(date)} ${clockExact.format(date)}`;
}

/** Hours, minutes, seconds and milliseconds of one day: for steps of a conversation. */
export function stepTime(date: Date): string {
  return `${clockExact.format(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** "2026-05-03 14:05:06" in UTC. */
export function utcTime(date: Date): string {
  return date.toISOString().slice(0, 19).replace('T', ' ');
}

/** "812 B", "4.1 kB", "23 MB": powers of 1000, two significant digits below 10. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

export function count(n: number | undefined): string {
  return (n ?? 0).toLocaleString('en');
}

/** "98.2 %", or nothing while there is nothing to divide. */
export function percent(part: number, whole: number): string | null {
  if (whole <= 0) return null;
  return `${((100 * part) / whole).toFixed(part === whole ? 0 : 1)} %`;
}

/** A day as an input of that type wants it, so many days from now. */
export function dayFromNow(days: number): string {
  return new Date(Date.now() + days * 24 * hour).toISOString().slice(0, 10);
}

/** This moment, or one before it, as an input of date and time wants it: without zone, the reader's own. */
export function localNow(hoursAgo = 0): string {
  const at = new Date(Date.now() - hoursAgo * hour);
  return new Date(at.getTime() - at.getTimezoneOffset() * minute).toISOString().slice(0, 16);
}
