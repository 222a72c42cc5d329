/** Waits for a condition, looking again every few ms. Rejects with what it waited for once `timeoutMs` are over. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  timeoutMs = 20_000,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value as Exclude<T, false | null | undefined>;
    if (Date.now() > deadline) throw new Error(`timed out after ${timeoutMs} ms, waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}
