import type { Measurement, Results } from '../results.js';

const WIDTH = 1_040;
const LABEL = 520;
const BAR = 18;
const GAP = 8;
const COLORS: Record<Measurement['subject'], string> = {
  raw: '#7a8794',
  postern: '#1f6fb2',
  'node-red': '#b2461f',
  mosquitto_rr: '#8a6fb2',
  curl: '#4f9d69',
  'null-server': '#c2c7cc',
};

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

interface Bar {
  label: string;
  value: number;
  min: number;
  max: number;
  color: string;
}

/** Bars from left to right with a whisker from the least to the most of the repetitions. */
function chart(
  title: string,
  bars: readonly Bar[],
  top: number,
  unit: string,
): { svg: string; height: number } {
  if (bars.length === 0) return { svg: '', height: 0 };
  const largest = Math.max(...bars.map(({ max }) => max), Number.MIN_VALUE);
  const scale = (value: number): number => (value / largest) * (WIDTH - LABEL - 120);
  const lines = bars.map(({ label, value, min, max, color }, index) => {
    const y = top + 34 + index * (BAR + GAP);
    const middle = y + BAR / 2;
    const number = value >= 100 ? value.toFixed(0) : value.toFixed(2);
    return (
      `<text x="${LABEL - 10}" y="${middle + 4}" text-anchor="end">${escape(label)}</text>` +
      `<rect x="${LABEL}" y="${y}" width="${Math.max(1, scale(value)).toFixed(1)}" height="${BAR}" fill="${color}"/>` +
      `<path d="M${(LABEL + scale(min)).toFixed(1)} ${middle}H${(LABEL + scale(max)).toFixed(1)}" stroke="#111" stroke-width="1.5"/>` +
      `<text x="${(LABEL + scale(max) + 8).toFixed(1)}" y="${middle + 4}">${number} ${unit}</text>`
    );
  });
  const svg = `<text x="10" y="${top + 18}" font-weight="bold">${escape(title)}</text>${lines.join('')}`;
  return { svg, height: 34 + bars.length * (BAR + GAP) + 16 };
}

/** The results in one picture: latency one by one, calls per second, and how it grows. */
export function picture(results: Results): string {
  const all = [
    ...results.raw,
    ...results.postern,
    ...results.peers.flatMap(({ measurements }) => measurements),
  ];
  const bars = (chosen: readonly Measurement[], pick: 'p50' | 'p99' | 'perSecond'): Bar[] =>
    chosen.map((one) => ({
      label: one.name,
      value: one[pick].median,
      min: one[pick].min,
      max: one[pick].max,
      color: COLORS[one.subject],
    }));
  // Ten to a hundred times as slow: beside the others, which keep their connections, they would leave nothing to see.
  const fresh = (one: Measurement): boolean =>
    ['mosquitto_rr', 'curl'].includes(one.subject) || one.name.includes('new connection');
  const sequential = all.filter((one) => one.inFlight === 1 && !fresh(one));
  const loaded = all.filter(({ inFlight }) => (inFlight ?? 0) > 1);
  const charts: [string, Bar[], string][] = [
    ['One call after the other: p50', bars(sequential, 'p50'), 'ms'],
    ['One call after the other: p99', bars(sequential, 'p99'), 'ms'],
    ['A new connection for each call: p50', bars(all.filter(fresh), 'p50'), 'ms'],
    ['Calls a second, many in flight', bars(loaded, 'perSecond'), '/s'],
    ...Object.entries(results.growth).map(([name, curve]): [string, Bar[], string] => [
      `Calls a second as it grows: ${name}`,
      bars(curve, 'perSecond'),
      '/s',
    ]),
  ];
  let top = 40;
  let body = '';
  for (const [title, data, unit] of charts) {
    const { svg, height } = chart(title, data, top, unit);
    body += svg;
    top += height;
  }
  const { machine } = results;
  const caption = `${machine.broker}, Node ${machine.node}, ${machine.cores} cores, ${machine.startedAt.slice(0, 10)}, ${results.mode} run`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${top}" viewBox="0 0 ${WIDTH} ${top}" ` +
    `font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>` +
    `<text x="10" y="22" font-size="14">${escape(caption)}</text>${body}</svg>\n`
  );
}
