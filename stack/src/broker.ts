import { BrokerNode, type BrokerInstallation, type BrokerNodeOptions } from '@postern/broker-config';
import { brokerCapabilities } from '@postern/broker-config';
import { StoppedError } from './errors.js';
import type { Running } from './keeper.js';
import type { Say } from './screen.js';

/** The private RabbitMQ node, as a part that a keeper can start again; all starts use the same data. */
export class Broker {
  readonly #node: BrokerNode;

  constructor(options: BrokerNodeOptions) {
    this.#node = new BrokerNode(options);
  }

  get managementUrl(): string {
    return this.#node.managementUrl;
  }

  /** @throws BrokerStartError with what the broker's log said */
  async start(stop: AbortSignal, hurry: AbortSignal): Promise<Running> {
    const node = this.#node;
    if (stop.aborted) throw new StoppedError();
    const halt = (): void => void node.stop();
    const kill = (): void => killGroup(node.pid);
    stop.addEventListener('abort', halt, { once: true });
    hurry.addEventListener('abort', kill, { once: true });
    let endedAs: (how: string) => void = () => undefined;
    const ended = new Promise<string>((resolve) => (endedAs = resolve));
    const forget = node.onExit(({ exitCode, signal }) => {
      forget();
      endedAs(signal ?? `exit code ${exitCode}`);
    });
    try {
      await node.start();
    } catch (error) {
      forget();
      throw stop.aborted ? new StoppedError() : error;
    } finally {
      stop.removeEventListener('abort', halt);
      hurry.removeEventListener('abort', kill);
    }
    return {
      pid: node.pid,
      ended,
      stop: async (hurryStop) => {
        const killNow = (): void => killGroup(node.pid);
        hurryStop.addEventListener('abort', killNow, { once: true });
        if (hurryStop.aborted) killNow();
        await node.stop();
        endedAs('stopped');
        hurryStop.removeEventListener('abort', killNow);
      },
    };
  }
}

/** The node leads a process group of its own. */
function killGroup(pid: number | null): void {
  if (pid === null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended in this very moment.
  }
}

/** Says once what this release cannot do, so that nobody looks for the fault in their device. */
export function sayCapabilities(installation: BrokerInstallation, say: Say): void {
  for (const { title, supported, note } of brokerCapabilities(installation.version)) {
    if (supported !== 'yes')
      say(`  ${supported === 'no' ? 'Not' : 'Only partly'} on this release: ${title} (${note}).`);
  }
}
