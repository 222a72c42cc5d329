import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditTrail } from '../../src/domain/audit.js';
import type { AuditStore, Store } from '../../src/domain/store.js';
import { openSqliteStore } from '../../src/store/sqlite/index.js';

let dir: string;
let store: Store;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'postern-audit-'));
  store = await openSqliteStore({ file: join(dir, 'registry.db') });
});
afterEach(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

const event = (action: string) => ({
  actorId: 'u',
  actorName: 'ada',
  action,
  outcome: 'OK',
  origin: { address: null, requestId: 'r' },
});
const stored = async () =>
  (await store.listAudit({ actorId: 'u', limit: 100, before: null })).items.map(({ action }) => action);

describe('the audit trail', () => {
  it('writes what was noted within a second, and what was recorded at once', async () => {
    const trail = new AuditTrail({ store, clock: { now: () => Date.now() } });
    trail.note(event('noted'));
    await trail.record(event('recorded'));
    expect(await stored()).toEqual(['recorded']);
    await expect.poll(stored, { timeout: 10_000 }).toContain('noted');
    await trail.close();
  });

  it('keeps what the store did not take, in order, and writes it at the next chance', async () => {
    let away = true;
    const errors: unknown[] = [];
    const flaky: AuditStore = {
      appendAudit: (entries, options) =>
        away ? Promise.reject(new Error('away')) : store.appendAudit(entries, options),
      listAudit: (filter) => store.listAudit(filter),
    };
    const trail = new AuditTrail({
      store: flaky,
      clock: { now: () => Date.now() },
      onError: (error) => errors.push(error),
    });
    trail.note(event('first'));
    await trail.flush();
    trail.note(event('second'));
    expect(errors).toHaveLength(1);
    away = false;
    await trail.close();
    expect((await stored()).reverse()).toEqual(['first', 'second']);
  });

  it('writes many in small batches, in order, without waiting for the second', async () => {
    const sizes: number[] = [];
    const counted: AuditStore = {
      appendAudit: (entries, options) => {
        sizes.push(entries.length);
        return store.appendAudit(entries, options);
      },
      listAudit: (filter) => store.listAudit(filter),
    };
    const trail = new AuditTrail({ store: counted, clock: { now: () => 0 } });
    const actions = Array.from({ length: 64 }, (_, index) => `a${index}`);
    for (const action of actions) {
      trail.note(event(action));
      if (sizes.length > 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sizes[0]).toBe(16);
    expect(Math.max(...sizes)).toBeLessThan(64);
    await trail.close();
    expect((await stored()).reverse()).toEqual(actions);
  });

  it('does not ask a store that is away once more for each entry', async () => {
    let asked = 0;
    const away: AuditStore = {
      appendAudit: () => {
        asked += 1;
        return Promise.reject(new Error('away'));
      },
      listAudit: (filter) => store.listAudit(filter),
    };
    const trail = new AuditTrail({ store: away, clock: { now: () => 0 } });
    for (let index = 0; index < 16; index += 1) trail.note(event('x'));
    await trail.flush();
    for (let index = 0; index < 100; index += 1) {
      trail.note(event('y'));
      await new Promise((resolve) => setImmediate(resolve));
    }
    // At the sixteenth, and by the timer where the hundred took a second.
    expect(asked).toBeLessThan(5);
    await trail.close();
  });

  it('drops and counts what is more than it may hold', async () => {
    let away = true;
    const counts: number[] = [];
    const flaky: AuditStore = {
      appendAudit: () => (away ? Promise.reject(new Error('away')) : Promise.resolve()),
      listAudit: (filter) => store.listAudit(filter),
    };
    const trail = new AuditTrail({
      store: flaky,
      clock: { now: () => 0 },
      onError: (_, dropped) => counts.push(dropped),
    });
    for (let index = 0; index < 10_005; index += 1) trail.note(event('x'));
    away = false;
    await trail.close();
    // Told with the write that failed, and with the one that did not.
    expect(counts).toEqual([5, 5]);
  });
});
