// A process that does nothing but hold a BrokerNode: for tests that kill it, or run it as another user.
import { BrokerNode, detectBroker } from '@postern/broker-config';

const { home, ...options } = JSON.parse(process.env.LAUNCH);
// Looked for anew: how a broker is run depends on who runs it.
const node = new BrokerNode({ ...options, installation: await detectBroker(home) });
try {
  await node.start();
  process.stdout.write('ready\n');
  if (process.env.STOP) {
    await node.stop();
    process.stdout.write('stopped\n');
    process.exit(0);
  }
  process.stdin.resume();
} catch (error) {
  process.stdout.write(`${error.failure ?? error.code}: ${error.message}\n`);
  process.exit(1);
}
