import { describe, expect, it } from 'vitest';
import { nearTime, parseTime, percent, size, utcTime } from './format';

describe('size', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [9_940, '9.9 kB'],
    [9_960, '10 kB'],
    [12_345_678, '12 MB'],
    [-5, '0 B'],
  ])('%d is %s', (bytes, text) => {
    expect(size(bytes)).toBe(text);
  });
});

describe('times', () => {
  const now = new Date('2026-05-03T12:00:00Z');
  it('reads RFC 3339 with microseconds and refuses what is no time', () => {
    expect(parseTime('2026-05-03T12:00:00.123456Z')?.toISOString()).toBe('2026-05-03T12:00:00.123Z');
    expect(parseTime('soon')).toBeNull();
    expect(parseTime('')).toBeNull();
    expect(parseTime('0001-01-01T00:00:00Z')).toBeNull();
  });
  it('is relative within the hour, in both directions', () => {
    expect(nearTime(new Date('2026-05-03T11:55:00Z'), now)).toContain('5');
    expect(nearTime(new Date('2026-05-03T12:05:00Z'), now)).toContain('in 5');
    expect(nearTime(new Date('2026-05-03T11:59:50Z'), now)).toBe('now');
  });
  it('names the year only when it is another', () => {
    expect(nearTime(new Date('2025-05-03T11:00:00Z'), now)).toContain('2025');
    expect(nearTime(new Date('2026-03-03T11:00:00Z'), now)).not.toContain('2026');
  });
  it('writes UTC', () => {
    expect(utcTime(now)).toBe('2026-05-03 12:00:00');
  });
});

describe('percent', () => {
  it('is nothing of nothing, and never rounds up to all', () => {
    expect(percent(0, 0)).toBeNull();
    expect(percent(10, 10)).toBe('100 %');
    expect(percent(982, 1000)).toBe('98.2 %');
  });
});
