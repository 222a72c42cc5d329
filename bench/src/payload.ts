/** The body of one call: a JSON object of `bytes` bytes with the call's own number in it. */
export function payloadMaker(bytes: number): (sequence: number) => string {
  // Ten digits, so that all calls have the same length.
  const frame = JSON.stringify({ seq: FIRST_SEQUENCE, pad: '' }).length;
  const pad = 'x'.repeat(Math.max(0, bytes - frame));
  return (sequence) => `{"seq":${FIRST_SEQUENCE + sequence},"pad":"${pad}"}`;
}

const FIRST_SEQUENCE = 1_000_000_000;
/** Longest sequence that keeps its ten digits. */
export const MAX_SEQUENCE = 8_999_999_999;
