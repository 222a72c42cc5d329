/** Says one line, or several, to the person at the terminal. */
export type Say = (text: string) => void;

/** Where lines go: one stream for all, so that they stay in order. */
export function sayTo(stream: NodeJS.WritableStream): Say {
  return (text) => void stream.write(`${printable(text)}\n`);
}

/** What others wrote (logs, devices) is shown too: it must not steer the terminal. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are exactly what is taken out here
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '?');
}

/** `0.4 s` */
export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** A word for a shell's command line, quoted where it needs to be. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
