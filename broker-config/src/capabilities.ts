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
  /** First release that can do it. */
  since: string;
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
];

/** What a release can and cannot do, said once: for the start-up log and the docs. */
export function brokerCapabilities(version: BrokerVersion | string): readonly BrokerCapability[] {
  const release = typeof version === 'string' ? parseBrokerVersion(version) : version;
  return ROWS.map(({ id, title, since, before, after }) => {
    const { supported, note } = isAtLeast(release, since)
      ? (after ?? { supported: 'yes', note: '' })
      : before;
    return { id, title, supported, note };
  });
}
