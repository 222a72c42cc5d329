import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../../src/domain/model.js';
import { AUDIT_KEPT_MS } from '../../../src/domain/store.js';
import type { StoreUnderTest } from './harness.js';
import { HOUR, ODD_TEXTS, T0, aClaim, aPresence, anAuditEntry, atOnce, hex } from './records.js';

/** Presence, audit record and idempotency: what the gateway notes of what happens. */
export function observationConformance(stores: () => StoreUnderTest): void {
  describe('presence', () => {
    it('is written and found, with every field full or empty', async () => {
      const { a, b } = stores();
      const full = aPresence();
      const empty = aPresence({
        connected: false,
        lastSeenAt: null,
        address: null,
        transport: null,
        connection: null,
        protocol: 1,
        methods: null,
        model: null,
        version: null,
      });
      await a.savePresence([full, empty]);
      await expect.poll(() => b.findPresence(full.deviceId)).toEqual(full);
      expect(await b.findPresence(empty.deviceId)).toEqual(empty);
      expect(await b.findPresence(aPresence().deviceId)).toBeNull();
      await a.savePresence([]);
    });

    it('is what was written last, also within one call', async () => {
      const { a } = stores();
      const first = aPresence();
      const last = { ...first, connected: false, methods: [], lastSeenAt: T0 + 9 };
      await a.savePresence([first, { ...first, model: 'between' }, last]);
      expect(await a.findPresence(first.deviceId)).toEqual(last);
      await a.savePresence([first]);
      expect(await a.findPresence(first.deviceId)).toEqual(first);
    });

    it('of many is found in one call, missing ones left out', async () => {
      const { a } = stores();
      const records = Array.from({ length: 120 }, (_, i) => aPresence({ connected: i % 3 === 0 }));
      await a.savePresence(records);
      const ids = [...records.map(({ deviceId }) => deviceId), aPresence().deviceId];
      const found = await a.findPresences(ids);
      const byId = (list: typeof records) => list.slice().sort((x, y) => (x.deviceId < y.deviceId ? -1 : 1));
      expect(byId(found)).toEqual(byId(records));
      expect(await a.findPresences([])).toEqual([]);
      const connected = (await a.listConnected()).filter(({ deviceId }) => ids.includes(deviceId));
      expect(byId(connected)).toEqual(byId(records.filter((record) => record.connected)));
    });

    it('of one device from many callers at once is one of theirs', async () => {
      const { a, b } = stores();
      const { deviceId } = aPresence();
      await atOnce(40, (i) => (i % 2 ? a : b).savePresence([aPresence({ deviceId, version: `v${i}` })]));
      expect((await a.findPresence(deviceId))?.version).toMatch(/^v\d+$/);
    });

    it('keeps what a device may say of itself', async () => {
      const { a } = stores();
      const record = aPresence({ methods: ODD_TEXTS, model: ODD_TEXTS[0]!, version: ODD_TEXTS[2]! });
      await a.savePresence([record]);
      expect(await a.findPresence(record.deviceId)).toEqual(record);
    });
  });

  describe('the audit record', () => {
    it('lists newest first, by who and on what, in pages', async () => {
      const { a, b } = stores();
      const actorId = hex(8);
      const target = hex(8);
      const entries = Array.from({ length: 11 }, (_, i) =>
        // Two of each time: those are told apart by their order of writing.
        anAuditEntry({
          actorId,
          at: T0 + Math.floor(i / 2),
          action: `n${i}`,
          target: i % 3 ? target : hex(8),
        }),
      );
      for (const [i, entry] of entries.entries()) await a.appendAudit([entry], { durable: i % 2 === 0 });
      await a.appendAudit([anAuditEntry({ target })]);
      const read = async (filter: { actorId?: string; target?: string }, limit: number) => {
        const items: AuditEntry[] = [];
        let before: string | null = null;
        do {
          const page = await b.listAudit({ ...filter, limit, before });
          expect(page.items.length).toBeLessThanOrEqual(limit);
          items.push(...page.items);
          before = page.next;
        } while (before !== null);
        return items;
      };
      const newest = entries.slice().reverse();
      await expect.poll(async () => (await read({ actorId }, 50)).length).toBe(11);
      for (const limit of [1, 3, 11, 12]) expect(await read({ actorId }, limit)).toEqual(newest);
      const onTarget = newest.filter((entry) => entry.target === target);
      expect(await read({ actorId, target }, 2)).toEqual(onTarget);
      expect(await read({ target }, 3)).toHaveLength(onTarget.length + 1);
      expect(await read({ actorId: hex(8) }, 3)).toEqual([]);
      const everything = await read({}, 7);
      expect(everything.filter((entry) => entry.actorId === actorId)).toEqual(newest);
    });

    it('keeps empty fields and what strangers typed', async () => {
      const { a } = stores();
      const actorId = hex(8);
      const entries = [
        ...ODD_TEXTS.map((text) => anAuditEntry({ actorId, actorName: text })),
        anAuditEntry({ actorId, actorName: null, target: null, address: null, requestId: null }),
      ];
      await a.appendAudit(entries, { durable: true });
      const { items } = await a.listAudit({ actorId, limit: 100, before: null });
      expect(items).toEqual(entries.slice().reverse());
      await a.appendAudit([], { durable: true });
    });

    it('takes no place that it did not hand out', async () => {
      const { a } = stores();
      for (const before of ['', 'x', '1.', '.1', `${T0}.zz`, `${T0}.1.1`, '9'.repeat(400)]) {
        await expect(a.listAudit({ limit: 1, before })).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
      }
    });

    it('is kept for its time and no longer', async () => {
      const { a, b } = stores();
      const actorId = hex(8);
      const entries = [T0, T0 + 1].map((at) => anAuditEntry({ actorId, at }));
      await a.appendAudit(entries, { durable: true });
      await b.purge(T0 + AUDIT_KEPT_MS - 1);
      expect((await b.listAudit({ actorId, limit: 10, before: null })).items).toHaveLength(2);
      await b.purge(T0 + AUDIT_KEPT_MS);
      expect((await a.listAudit({ actorId, limit: 10, before: null })).items).toEqual([entries[1]]);
    });

    it('loses none of many written at once', async () => {
      const { a, b } = stores();
      const actorId = hex(8);
      await atOnce(40, (i) =>
        (i % 2 ? a : b).appendAudit([anAuditEntry({ actorId }), anAuditEntry({ actorId })], {
          durable: i % 4 < 2,
        }),
      );
      await expect
        .poll(async () => (await a.listAudit({ actorId, limit: 200, before: null })).items.length)
        .toBe(80);
    });
  });

  describe('idempotency', () => {
    const answer = { status: 200, body: '{"number":12,"value":1}', contentType: 'application/json' };

    it('is claimed once, and the answer kept', async () => {
      const { a, b } = stores();
      const claim = aClaim();
      expect(await a.claimIdempotency(claim)).toEqual({ claimed: true });
      const second = aClaim({ id: claim.id, createdAt: T0 + 1 });
      expect(await b.claimIdempotency(second)).toEqual({ claimed: false, existing: claim });
      await a.completeIdempotency(claim.id, answer);
      expect(await b.claimIdempotency(second)).toEqual({ claimed: false, existing: { ...claim, answer } });
      expect(await b.findIdempotency(claim.id, claim.expiresAt - 1)).toEqual({ ...claim, answer });
      expect(await b.findIdempotency(claim.id, claim.expiresAt)).toBeNull();
      expect(await b.findIdempotency(aClaim().id, T0)).toBeNull();
    });

    it('of 50 claims at once, one may execute', async () => {
      const { a, b } = stores();
      const { id } = aClaim();
      for (const createdAt of [T0, T0 + HOUR]) {
        // The second round finds the first's record, expired.
        const claims = Array.from({ length: 50 }, () =>
          aClaim({ id, createdAt, expiresAt: createdAt + HOUR }),
        );
        const results = await atOnce(50, (i) => (i % 2 ? a : b).claimIdempotency(claims[i]!));
        const winners = claims.filter((_, i) => results[i]?.claimed);
        expect(winners).toHaveLength(1);
        for (const result of results) if (!result.claimed) expect(result.existing).toEqual(winners[0]);
      }
    });

    it('is free again from the moment of its expiry', async () => {
      const { a } = stores();
      const claim = aClaim();
      await a.claimIdempotency(claim);
      await a.completeIdempotency(claim.id, answer);
      const early = aClaim({ id: claim.id, createdAt: claim.expiresAt - 1 });
      expect(await a.claimIdempotency(early)).toMatchObject({ claimed: false });
      const next = aClaim({ id: claim.id, createdAt: claim.expiresAt, expiresAt: claim.expiresAt + HOUR });
      expect(await a.claimIdempotency(next)).toEqual({ claimed: true });
      expect(await a.findIdempotency(claim.id, claim.expiresAt)).toEqual(next);
    });

    it('is released while open, and not once answered', async () => {
      const { a } = stores();
      const claim = aClaim();
      await a.claimIdempotency(claim);
      await a.releaseIdempotency(claim.id);
      expect(await a.findIdempotency(claim.id, T0)).toBeNull();
      await a.completeIdempotency(claim.id, answer);
      expect(await a.findIdempotency(claim.id, T0)).toBeNull();
      expect(await a.claimIdempotency(claim)).toEqual({ claimed: true });
      await a.completeIdempotency(claim.id, answer);
      await a.releaseIdempotency(claim.id);
      await a.completeIdempotency(claim.id, { ...answer, body: 'another' });
      expect(await a.findIdempotency(claim.id, T0)).toEqual({ ...claim, answer });
    });

    it('keeps a large answer of any text, and is purged', async () => {
      const { a, b } = stores();
      const claim = aClaim();
      const large = {
        status: 502,
        body: `${'😀"\\'.repeat(16_384)}`,
        contentType: 'application/problem+json',
      };
      await a.claimIdempotency(claim);
      await a.completeIdempotency(claim.id, large);
      await b.purge(claim.expiresAt - 1);
      expect(await b.findIdempotency(claim.id, T0)).toEqual({ ...claim, answer: large });
      await b.purge(claim.expiresAt);
      expect(await b.findIdempotency(claim.id, T0)).toBeNull();
    });
  });
}
