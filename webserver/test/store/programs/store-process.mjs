// A gateway's store in a process of its own, for what needs more than one, or one that is killed.
// Arguments: sqlite|mongodb, file|URL, database (or -), command. Uses the compiled room (`tsc -b webserver`).
import { randomBytes, randomUUID } from 'node:crypto';
import { writeSync } from 'node:fs';
import { Connection } from '../../../dist/store/sqlite/connection.js';
import { migrate } from '../../../dist/store/sqlite/migrate.js';
import { openMongoStore } from '../../../dist/store/mongo/index.js';
import { openSqliteStore } from '../../../dist/store/sqlite/index.js';

const [kind, target, database, command, argument] = process.argv.slice(2);
/** Written before the next line of code runs, and so before a kill that comes later. */
const say = (line) => writeSync(1, `${line}\n`);
const hex = () => randomBytes(16).toString('hex');
const NOW = 4_102_444_800_000;

const open = () =>
  kind === 'sqlite' ? openSqliteStore({ file: target }) : openMongoStore({ url: target, database });

const user = () => ({ id: randomUUID(), username: hex(), passwordHash: hex(), createdAt: NOW });
const device = (ownerId) => ({
  id: `d${hex().slice(0, 20)}`,
  ownerId,
  name: hex(),
  createdAt: NOW,
  origin: 'api',
  keyType: 'ec-p256',
  passwordHash: null,
  sealedKey: null,
  removedAt: null,
});
const certificate = (deviceId) => ({
  serial: hex(),
  deviceId,
  fingerprintSha256: hex(),
  notBefore: NOW,
  notAfter: NOW + 1e9,
  issuedAt: NOW,
  chainPem: 'x'.repeat(2000),
  revokedAt: null,
  revocationReason: null,
});

/** Writes a user and a device, a removal, an audit entry; says what was acknowledged. */
async function writeOne(store) {
  const owner = user();
  if (await store.insertUser(owner)) say(`user ${owner.id}`);
  const [kept, gone] = [device(owner.id), device(owner.id)];
  const [first, second] = [certificate(kept.id), certificate(gone.id)];
  if ((await store.insertDevice(kept, first, 1000)) === 'ok') say(`device ${kept.id} ${first.serial}`);
  if ((await store.insertDevice(gone, second, 1000)) === 'ok') say(`device ${gone.id} ${second.serial}`);
  if (await store.removeDevice(owner.id, gone.name, NOW, 'keyCompromise')) say(`removed ${gone.id}`);
  await store.savePresence([
    {
      deviceId: kept.id,
      connected: true,
      lastSeenAt: NOW,
      address: null,
      transport: null,
      connection: null,
      protocol: 1,
      methods: null,
      model: null,
      version: null,
    },
  ]);
  say(`crl ${await store.nextCrlNumber()}`);
}

const commands = {
  /** Opens, says so, closes. */
  async open() {
    const store = await open();
    say('opened');
    await store.close();
  },
  /** Writes on four lanes until it is killed, or until the store refuses. */
  async write() {
    const store = await open();
    say('writing');
    const lane = async () => {
      for (;;) await writeOne(store);
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
  },
  /** Takes `argument` CRL numbers and one name that all want. */
  async compete() {
    const store = await open();
    const [count, username] = argument.split(':');
    if (await store.insertUser({ ...user(), username })) say('won');
    for (let i = 0; i < Number(count); i++) say(`crl ${await store.nextCrlNumber()}`);
    await store.close();
  },
  /** Applies a list of migrations to a file. */
  async migrate() {
    const connection = await Connection.open(target, 'full');
    await migrate(connection, JSON.parse(argument));
    say(`version ${connection.readPragma('user_version')}`);
    connection.close();
  },
};

try {
  await commands[command]();
} catch (error) {
  say(`failed ${error.code} ${error.message}`);
  process.exitCode = 1;
}
