import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Connection } from '../../src/store/sqlite/connection.js';
import { openSqliteStore, storeParts } from '../../src/store/sqlite/index.js';

let folder: string;
let connection: Connection;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-store-'));
  const file = join(folder, 'registry.db');
  await (await openSqliteStore({ file })).close();
  connection = new Connection(file, 'full');
  // Prepares every statement of the store.
  storeParts({
    durable: connection,
    relaxed: connection,
    read: async (query) => query(),
    write: async (change) => change(),
    writeSoon: async (change) => change(),
  });
});
afterAll(async () => {
  connection.close();
  await rm(folder, { recursive: true, force: true });
});

const planOf = (sql: string) =>
  connection
    .prepare(`EXPLAIN QUERY PLAN ${sql.replaceAll('?', '1')}`)
    .all()
    .map((row) => String(row['detail']));

describe('query plans', () => {
  it('use an index in every statement that looks for rows', () => {
    const searching = connection.prepared.filter(
      (sql) => /\bWHERE\b/.test(sql) && !sql.startsWith('EXPLAIN') && !sql.startsWith('INSERT'),
    );
    expect(searching.length).toBeGreaterThan(30);
    for (const sql of searching) {
      for (const step of planOf(sql)) {
        // Read whole because that is what is asked for: an index of just the connected devices, one of just the
        // revoked certificates, and the list of ids.
        if (/USING (COVERING )?INDEX (presence_connected|certificates_by_revocation)$|json_each/.test(step))
          continue;
        expect(step, sql).not.toMatch(/^SCAN/);
      }
    }
  });

  it.each([
    ['SELECT * FROM devices WHERE owner_id = ? AND name = ?', 'devices_by_name (owner_id=? AND name=?)'],
    ['SELECT * FROM devices WHERE owner_id = ? AND name > ?', 'devices_by_name (owner_id=? AND name>?)'],
    ['SELECT * FROM devices WHERE id = ?', '(id=?)'],
    ['SELECT * FROM sessions WHERE id', '(id=?)'],
    ['SELECT * FROM api_secrets WHERE secret_hash', '(secret_hash=?)'],
    ['SELECT * FROM presence WHERE device_id = ?', '(device_id=?)'],
    ['SELECT * FROM users WHERE username', '(username=?)'],
    ['SELECT 1 FROM certificates WHERE device_id', 'certificates_by_device (device_id=?)'],
    ['SELECT * FROM audit WHERE  (at', 'audit_by_time'],
    ['SELECT * FROM audit WHERE actor_id = ? AND (at', 'audit_by_actor'],
    ['SELECT * FROM audit WHERE target = ? AND (at', 'audit_by_target'],
  ])('answer "%s" by %s, unsorted', (beginning, expected) => {
    const matching = connection.prepared.filter((sql) => sql.startsWith(beginning));
    expect(matching.length).toBeGreaterThan(0);
    for (const sql of matching) {
      const plan = planOf(sql);
      expect(plan.join('\n')).toContain(expected);
      expect(plan.join('\n')).not.toContain('TEMP B-TREE');
    }
  });
});
