import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';

/**
 * Loaded into the gateway by NODE_OPTIONS (which takes --import, and not --cpu-prof): SIGUSR2 begins a CPU profile,
 * a second one ends it and writes it to BENCH_PROFILE_DIR. Other processes of the stack are left alone.
 */
const INTERVAL_US = 500;

if (process.argv[1]?.endsWith('/webserver/dist/main.js')) {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
  let running = false;
  process.on('SIGUSR2', () => {
    running = !running;
    if (running) return session.post('Profiler.start');
    session.post('Profiler.stop', (error, { profile }) => {
      if (!error)
        writeFileSync(
          join(process.env['BENCH_PROFILE_DIR']!, `${process.pid}.cpuprofile`),
          JSON.stringify(profile),
        );
    });
  });
}
