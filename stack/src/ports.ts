import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { StackError } from './errors.js';
import { describeProcess, processIds } from './process-table.js';
import { PORT_VARIABLES, type PortName, type Settings } from './settings.js';

/**
 * The ports that leave this machine: as they were set, checked to be free, or any free ones for 0.
 * @throws StackError `PORT_TAKEN` that names the port, the variable that moves it, and its holder where /proc tells
 */
export async function choosePorts(settings: Settings): Promise<Record<PortName, number>> {
  const chosen: Record<PortName, number> = { ...settings.ports };
  const taken = new Set<number>();
  for (const name of Object.keys(PORT_VARIABLES) as PortName[]) {
    const wanted = settings.ports[name];
    if (wanted === 0) {
      chosen[name] = await freePort(settings.bindAddress, taken);
    } else {
      await checkFree(wanted, settings.bindAddress, PORT_VARIABLES[name]);
    }
    taken.add(chosen[name]);
  }
  return chosen;
}

/**
 * Where free ports are looked for: below what Linux (32768), macOS and Windows (49152) give to outgoing connections.
 * One from there would be taken by any program's connection between the choice and the listening, or while a part
 * that died is down.
 */
const FREE_PORTS = { from: 20_000, to: 32_767 } as const;
/** Stacks that start at once look at ports of their own: each process id has a block. */
const PORTS_PER_PROCESS = 16;

/** A port that nothing listens on, and that is not in `except`. */
export async function freePort(address: string, except: ReadonlySet<number> = new Set()): Promise<number> {
  const count = FREE_PORTS.to - FREE_PORTS.from + 1;
  const first = process.pid * PORTS_PER_PROCESS;
  for (let step = 0; step < count; step++) {
    const port = FREE_PORTS.from + ((first + step) % count);
    if (except.has(port)) continue;
    try {
      return await listenOnce(port, address);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
  throw new StackError(
    'PORT_TAKEN',
    `No port from ${FREE_PORTS.from} to ${FREE_PORTS.to} is free; stop what holds them.`,
  );
}

async function checkFree(port: number, address: string, variable: string): Promise<void> {
  try {
    await listenOnce(port, address);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE') {
      const holder = portHolder(port);
      throw new StackError(
        'PORT_TAKEN',
        `Port ${port} is taken${holder === null ? '' : ` by ${holder}`}; choose another with ${variable}.`,
      );
    }
    if (code === 'EACCES')
      throw new StackError(
        'PORT_TAKEN',
        `You may not listen on port ${port}; choose one above 1023 with ${variable}.`,
      );
    if (code === 'EADDRNOTAVAIL')
      throw new StackError(
        'BAD_SETTING',
        `POSTERN_BIND_ADDRESS is ${address}, which is no address of this machine.`,
      );
    throw error;
  }
}

function listenOnce(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      const got = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(got));
    });
  });
}

/** proc(5) /proc/net/tcp: field 2 is the local address, 4 the state (0A: listening), 10 the socket's inode. */
export function portHolder(port: number): string | null {
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readLines(table)) {
      const fields = line.trim().split(/\s+/);
      const local = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
      if (local === port && fields[3] === '0A') inodes.add(`socket:[${fields[9]}]`);
    }
  }
  if (inodes.size === 0) return null;
  const holder = processIds().find((pid) => holdsOneOf(pid, inodes));
  return holder === undefined ? null : describeProcess(holder);
}

function holdsOneOf(pid: number, sockets: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return sockets.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    // Another user's process.
    return false;
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}
