import 'uplot/dist/uPlot.min.css';
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import UPlot from 'uplot';
import type { Point } from '../api/shapes';
import { t } from '../texts';
import css from './chart.module.css';

const lines = [
  { key: 'accepted', label: t.overview.series.accepted, color: '--app-live' },
  { key: 'delivered', label: t.overview.series.delivered, color: '--app-good' },
  { key: 'deferred', label: t.overview.series.deferred, color: '--app-wait' },
  { key: 'failed', label: t.overview.series.failed, color: '--app-bad' },
] as const;

const height = 220;

/** uPlot's columns: x in seconds, then one array per line. */
export function columns(points: Point[]): UPlot.AlignedData {
  return [
    points.map((p) => Date.parse(p.at) / 1000),
    ...lines.map((line) => points.map((p) => p[line.key])),
  ] as UPlot.AlignedData;
}

/** Counts over time. The sentence `says` carries the same to those who cannot see it. */
export default function Chart({ points, says }: { points: Point[]; says: string }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const scheme = useComputedColorScheme('light');
  const latest = useRef(points);
  latest.current = points;

  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours are read anew when the scheme changes
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const made = new UPlot(options(element), columns(latest.current), element);
    plot.current = made;
    const watcher = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [scheme]);

  useEffect(() => {
    plot.current?.setData(columns(points));
  }, [points]);

  const quiet = points.every((p) => p.accepted + p.delivered + p.deferred + p.failed === 0);
  return (
    <figure className={css.figure}>
      <div ref={host} role="img" aria-label={says} className={css.plot} />
      {quiet && <div className={css.quiet}>{t.overview.quiet}</div>}
      <figcaption className={css.legend}>
        {lines.map((line) => (
          <span key={line.key} className={css.key}>
            <span className={css.swatch} data-line={line.key} aria-hidden />
            {line.label}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

function options(element: HTMLElement): UPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const grid = { stroke: color('--app-line'), width: 1 };
  const axis = {
    stroke: color('--mantine-color-dimmed'),
    font: `12px ${style.fontFamily}`,
    grid,
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height,
    padding: [12, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
    scales: { y: { range: (_u, _min, max) => [0, Math.max(4, Math.ceil(max * 1.15))] } },
    axes: [
      { ...axis, grid: { show: false }, values: '{HH}:{mm}', space: 70, size: 28 },
      {
        ...axis,
        size: 44,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000, 100000, 500000],
      },
    ],
    series: [
      {},
      ...lines.map((line, i) => ({
        label: line.label,
        stroke: color(line.color),
        width: 2,
        points: { show: false },
        fill: i === 0 ? `${color(line.color)}1c` : undefined,
      })),
    ],
  };
}
