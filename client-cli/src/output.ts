import type { Io, OutputStream } from './io.js';

export type Colour = 'green' | 'yellow' | 'dim';
const SGR: Record<Colour, string> = { green: '32', yellow: '33', dim: '2' };

export interface Cell {
  readonly text: string;
  readonly colour?: Colour;
}

/**
 * Control characters made visible. What devices and gateways say must not move a terminal's cursor or set its
 * title (C0, DEL and C1: ECMA-48 5).
 */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, escapeUnit);
}
const escapeUnit = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** JSON as `--json` prints it: two spaces, and no control character that JSON itself lets through. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, escapeUnit);
}

/** Writes results to stdout (tables for people, JSON for programs) and remarks to stderr. */
export class Output {
  constructor(
    private readonly io: Pick<Io, 'stdout' | 'stderr' | 'env'>,
    readonly json: boolean,
  ) {}

  /** The command's result: `value` for programs, `people` for people. */
  result(value: unknown, people: () => void): void {
    if (this.json) this.io.stdout.write(`${jsonText(value)}\n`);
    else people();
  }

  line(text = ''): void {
    this.io.stdout.write(`${printable(text)}\n`);
  }

  /** Text that this program made itself: it may hold line breaks. */
  raw(text: string): void {
    this.io.stdout.write(text);
  }

  jsonValue(value: unknown): void {
    this.io.stdout.write(`${jsonText(value)}\n`);
  }

  /** A remark beside the result; not part of what programs read. */
  note(text: string): void {
    if (!this.json) this.io.stderr.write(`${printable(text)}\n`);
  }

  warn(text: string): void {
    this.io.stderr.write(`postern: ${printable(text)}\n`);
  }

  /** Aligned columns under their headings. On a terminal a line is cut at its width; elsewhere never. */
  table(headings: readonly string[], rows: readonly (readonly Cell[])[]): void {
    const cells = rows.map((row) => row.map((cell) => ({ ...cell, text: printable(cell.text) })));
    const widths = headings.map((heading, column) =>
      Math.max(heading.length, ...cells.map((row) => row[column]?.text.length ?? 0)),
    );
    this.row(
      headings.map((text) => ({ text, colour: 'dim' })),
      widths,
    );
    for (const row of cells) this.row(row, widths);
  }

  /** `name  value` lines. */
  pairs(pairs: readonly (readonly [string, Cell | string])[]): void {
    const width = Math.max(...pairs.map(([name]) => name.length));
    for (const [name, value] of pairs) {
      const cell = typeof value === 'string' ? { text: value } : value;
      const label = this.paint({ text: name.padEnd(width), colour: 'dim' });
      this.io.stdout.write(`${label}  ${this.paint({ ...cell, text: printable(cell.text) })}\n`);
    }
  }

  private row(cells: readonly Cell[], widths: readonly number[]): void {
    let room = columnsOf(this.io.stdout);
    let line = '';
    for (const [column, cell] of cells.entries()) {
      const last = column === cells.length - 1;
      const padded = last ? cell.text : `${cell.text.padEnd(widths[column]!)}  `;
      const cut = padded.length > room ? `${padded.slice(0, Math.max(0, room - 1))}…` : padded;
      line += this.paint({ ...cell, text: cut });
      room -= cut.length;
      if (room <= 0) break;
    }
    this.io.stdout.write(`${line.trimEnd()}\n`);
  }

  private paint(cell: Cell): string {
    if (cell.colour === undefined || !hasColour(this.io.stdout, this.io.env)) return cell.text;
    return `\u001b[${SGR[cell.colour]}m${cell.text}\u001b[0m`;
  }
}

function columnsOf(stream: OutputStream): number {
  return stream.isTTY === true && stream.columns !== undefined && stream.columns > 0
    ? stream.columns
    : Number.POSITIVE_INFINITY;
}

/** Colour on a terminal only, and not where NO_COLOR is set and not empty (no-color.org) or TERM is `dumb`. */
function hasColour(stream: OutputStream, env: Io['env']): boolean {
  return stream.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}
