import { isAtLeast, parseBrokerVersion, type BrokerVersion } from './version.js';

/** One thing that not every release can do. */
export interface BrokerCapability {
  readonly id: string;
  /** What it is about, for the log and the docs. */
  readonly title: string;
  /** `partly`: see the note. */
  readonly supported: 'yes' | 'no' | 'partly';
  /** What that means for the operator. */
  readonly note: string;
}

interface Row {
  id: string;
  title: string;
  /** First release that can do it; null while none can. */
  since: string | null;
  before: { supported: 'no' | 'partly'; note: string };
  after?: { supported: 'yes' | 'partly'; note: string };
}

const ROWS: readonly Row[] = [
  {
    id: 'mqtt5',
    title: 'MQTT 5',
    since: '3.13',
    before: { supported: 'no', note: 'devices connect with MQTT 3.1 or 3.1.1' },
  },
  {
    id: 'client-id-bound-to-certificate',
    title: "A device's password counts with its own certificate alone",
    since: '4.0',
    before: {
      supported: 'no',
      note: "whoever holds another device's password and any valid certificate can log in as that device; a made-up password never counts",
    },
  },
  {
    id: 'carbon-copies-checked',
    title: 'Extra routing keys of an AMQP message (CC, BCC) are checked',
    since: '4.0',
    before: {
      supported: 'no',
      note: "an AMQP device can send to another device, which sees the sender's topic (server/<sender>/...) and not its own: devices must obey topics below their own id alone",
    },
  },
  {
    id: 'dead-letters-checked',
    title: "Dead letters of a device's queue are checked",
    since: null,
    before: {
      supported: 'no',
      note: 'the gateway removes a device queue that dead-letters and closes its device within some ms of its declaration',
    },
  },
  {
    id: 'packet-size-limit',
    title: 'A packet above the size limit ends the connection',
    since: '3.13',
    before: {
      supported: 'partly',
      note: 'it is not delivered, but the session stays open and dead until the device reconnects',
    },
  },
  {
    id: 'closed-event-names-user',
    title: 'The end of an MQTT connection names its user',
    since: '3.13',
    before: { supported: 'partly', note: 'the gateway remembers who a connection belongs to' },
  },
  {
    id: 'fast-connects',
    title: 'Many devices connect at once',
    since: '3.13',
    before: {
      supported: 'partly',
      note: 'some 40 connections a second, and now and then one takes 5 s longer; 4.0 takes up to 350 a second',
    },
  },
];

/** What a release can and cannot do, said once: for the start-up log and the docs. */
export function brokerCapabilities(version: BrokerVersion | string): readonly BrokerCapability[] {
  const release = typeof version === 'string' ? parseBrokerVersion(version) : version;
  return ROWS.map(({ id, title, since, before, after }) => {
    const { supported, note } =
      since !== null && isAtLeast(release, since) ? (after ?? { supported: 'yes', note: '' }) : before;
    return { id, title, supported, note };
  });
}
