import { openSync, closeSync, fstatSync, readSync } from 'node:fs';
import type { BrokerStartFailure } from './errors.js';

/** Bytes of a log that are looked at from its end: some hundred lines. */
const TAIL_BYTES = 64 * 1024;

/** Lines that an error message quotes. */
const QUOTED_LINES = 12;

/** The end of a log from byte `from` on; empty when there is no such file. */
export function readLog(file: string, from = 0): string {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return '';
  }
  try {
    const size = fstatSync(fd).size;
    // A log that was rotated since is shorter than it was.
    const start = Math.max(size < from ? 0 : from, size - TAIL_BYTES);
    const buffer = Buffer.alloc(Math.max(0, size - start));
    const read = readSync(fd, buffer, 0, buffer.length, start);
    return buffer.toString('utf8', 0, read);
  } finally {
    closeSync(fd);
  }
}

/** RabbitMQ writes this once all plugins and listeners are up. */
export const saysReady = (log: string): boolean => log.includes('Server startup complete');

interface Cause {
  failure: BrokerStartFailure;
  pattern: RegExp;
  sentence: string;
}

/** What a log line means, the most telling first. */
const CAUSES: readonly Cause[] = [
  {
    failure: 'PORT_IN_USE',
    pattern: /eaddrinuse|address already in use|port already in use/i,
    sentence: 'A port that it needs is in use by another program.',
  },
  {
    failure: 'STORAGE',
    pattern: /enospc|no space left/i,
    sentence: 'The disk that holds its data folder is full.',
  },
  {
    failure: 'STORAGE',
    pattern: /eacces|permission denied|erofs|read-only file system/i,
    sentence: 'It may not write in its data folder; the folder must belong to the user who starts it.',
  },
  {
    failure: 'BAD_CONFIG',
    pattern:
      /failed_to_prepare_configuration|error preparing configuration|conf file attempted|error generating configuration|cuttlefish|failed_to_(?:parse|read|load)_|invalid_config|bad_definitions|failed to import definitions|syntax error before/i,
    sentence: 'It refused its configuration.',
  },
  {
    failure: 'BAD_CONFIG',
    pattern: /plugin_(?:directory|read|not_found)|not_found.*plugins|enabled_plugins/i,
    sentence: 'A plugin that Postern needs is not in this installation.',
  },
];

const TELLING =
  /\[(?:error|critical|emergency|alert)\]|error|BOOT FAILED|eacces|eaddrinuse|enospc|denied|cannot|failed/i;

export interface LogDiagnosis {
  failure: BrokerStartFailure | null;
  sentence: string;
  lines: string[];
}

/** What the texts of one start say about why it failed. */
export function diagnoseLog(...texts: string[]): LogDiagnosis {
  const lines = texts
    .flatMap((text) => text.split('\n'))
    .map((line) => line.trimEnd())
    .filter((line) => line.trim() !== '' && !/^[\s=#*-]*$/.test(line));
  const telling = lines.filter((line) => TELLING.test(line));
  const cause = CAUSES.find((candidate) => lines.some((line) => candidate.pattern.test(line)));
  const exact = cause ? lines.filter((line) => cause.pattern.test(line)) : [];
  const chosen = [
    ...new Set([...exact.slice(0, 4), ...(telling.length > 0 ? telling : lines).slice(-QUOTED_LINES)]),
  ];
  return {
    failure: cause?.failure ?? null,
    sentence: cause?.sentence ?? '',
    lines: chosen.slice(0, QUOTED_LINES).map((line) => line.trim().slice(0, 400)),
  };
}
