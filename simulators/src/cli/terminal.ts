/** Where the command writes; injected so that nothing here knows the console. */
export interface Terminal {
  /** For people: progress and results. With a control channel on stdout, the terminal writes to stderr. */
  line: (text: string) => void;
  /** For people: what is wrong. */
  problem: (text: string) => void;
}

/**
 * UART bytes for a terminal: text as it is, but no control characters, since what a device is sent must not
 * steer the terminal it is shown on; bytes that are no UTF-8 in hex.
 */
export function printableUart(data: Buffer): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(data);
  } catch {
    return `(hex) ${data.toString('hex')}`;
  }
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character === '\t' ? character : (SHORT_ESCAPES[character] ?? codePointEscape(character)),
  );
}

const SHORT_ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r' };
const codePointEscape = (character: string): string => `\\u{${character.codePointAt(0)!.toString(16)}}`;
