import { createSocket, type Socket } from 'node:dgram';
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { createServer, connect, type Server, type Socket as TcpSocket } from 'node:net';
import { until } from '../../../e2e/support/wait.js';

const DHCP_OPTION = {
  netmask: 1,
  router: 3,
  dns: 6,
  requested: 50,
  lease: 51,
  type: 53,
  server: 54,
} as const;
const DHCP_TYPE = { discover: 1, offer: 2, request: 3, ack: 5, nak: 6 } as const;
/** RFC 2131 2: the options begin behind the fixed fields and this cookie. */
const DHCP_COOKIE = Buffer.from([99, 130, 83, 99]);
const DHCP_OPTIONS_AT = 240;

const bytes = (address: string): Buffer => Buffer.from(address.split('.').map(Number));
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

let count = 0;

/**
 * A cable with one board on it: a TAP interface of this machine, with a DHCP server, a DNS server that knows one
 * address, our own, and a way through to the broker, which listens on loopback.
 */
export class Network {
  readonly tap: string;
  readonly prefix: string;
  /** The last byte of the address that the next lease has. */
  hostNumber = 10;
  private readonly sockets: Socket[] = [];
  private server: Server | null = null;
  private readonly through = new Set<TcpSocket>();

  private constructor() {
    count += 1;
    this.tap = `pt${process.pid % 100_000}n${count}`;
    this.prefix = `10.213.${(process.pid + count) % 250}`;
  }

  get address(): string {
    return `${this.prefix}.1`;
  }

  static async open(brokerPort: number): Promise<Network> {
    try {
      accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    } catch {
      throw new Error(
        'The firmware is tested over a TAP interface: /dev/net/tun must be there and to be opened, which takes root ' +
          'or CAP_NET_ADMIN. FIRMWARE_E2E=0 leaves these tests out.',
      );
    }
    const network = new Network();
    try {
      ip('tuntap', 'add', 'dev', network.tap, 'mode', 'tap');
      ip('addr', 'add', `${network.address}/24`, 'brd', '+', 'dev', network.tap);
      ip('link', 'set', network.tap, 'up');
      await network.serveDhcp();
      await network.serveDns();
      await network.forward(brokerPort);
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  /** Pulls the cable out or puts it back. */
  plug(up: boolean): void {
    ip('link', 'set', this.tap, up ? 'up' : 'down');
  }

  /**
   * Takes this machine away from the other end of the cable, or back: what the board sends is lost without a word, and
   * its connection is half open.
   */
  vanish(gone: boolean): void {
    ip('addr', gone ? 'del' : 'add', `${this.address}/24`, ...(gone ? [] : ['brd', '+']), 'dev', this.tap);
  }

  /** Goes on carrying the broker's TCP, but not what is in it, or carries that again. */
  freeze(frozen: boolean): void {
    for (const socket of this.through) {
      if (frozen) socket.pause();
      else socket.resume();
    }
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.close();
    for (const socket of this.through) socket.destroy();
    await new Promise<void>((resolve) => (this.server ? this.server.close(() => resolve()) : resolve()));
    try {
      ip('link', 'del', this.tap);
    } catch {
      // It was never made.
    }
  }

  private async bind(port: number, address: string): Promise<Socket> {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    this.sockets.push(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, address, resolve);
    });
    return socket;
  }

  /** RFC 2131, as much of it as one client on one cable needs. */
  private async serveDhcp(): Promise<void> {
    // Broadcasts reach a socket that is bound to the broadcast address of the net or to any address.
    const socket = await this.bind(67, '0.0.0.0');
    socket.setBroadcast(true);
    socket.on('message', (request) => {
      if (request.length < DHCP_OPTIONS_AT || request[0] !== 1) return;
      const options = readOptions(request.subarray(DHCP_OPTIONS_AT));
      const kind = options.get(DHCP_OPTION.type)?.[0];
      const lease = `${this.prefix}.${this.hostNumber}`;
      const asked = options.get(DHCP_OPTION.requested);
      if (kind === DHCP_TYPE.discover) this.answer(socket, request, DHCP_TYPE.offer, lease);
      else if (kind === DHCP_TYPE.request)
        this.answer(
          socket,
          request,
          asked && !asked.equals(bytes(lease)) ? DHCP_TYPE.nak : DHCP_TYPE.ack,
          lease,
        );
    });
  }

  private answer(socket: Socket, request: Buffer, type: number, lease: string): void {
    const fixed = Buffer.alloc(DHCP_OPTIONS_AT);
    request.copy(fixed, 0, 0, DHCP_OPTIONS_AT);
    fixed[0] = 2;
    bytes(lease).copy(fixed, 16);
    bytes(this.address).copy(fixed, 20);
    DHCP_COOKIE.copy(fixed, 236);
    const option = (code: number, value: Buffer): Buffer =>
      Buffer.concat([Buffer.from([code, value.length]), value]);
    const reply = Buffer.concat([
      fixed,
      option(DHCP_OPTION.type, Buffer.from([type])),
      option(DHCP_OPTION.server, bytes(this.address)),
      option(DHCP_OPTION.lease, Buffer.from([0, 0, 14, 16])),
      option(DHCP_OPTION.netmask, bytes('255.255.255.0')),
      option(DHCP_OPTION.router, bytes(this.address)),
      option(DHCP_OPTION.dns, bytes(this.address)),
      Buffer.from([255]),
    ]);
    socket.send(reply, 68, `${this.prefix}.255`);
  }

  /** RFC 1035: every name has our address. */
  private async serveDns(): Promise<void> {
    const socket = await this.bind(53, this.address);
    socket.on('message', (query, peer) => {
      const header = Buffer.from([query[0]!, query[1]!, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
      const question = query.subarray(12, query.indexOf(0, 12) + 5);
      const record = Buffer.concat([
        Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4]),
        bytes(this.address),
      ]);
      socket.send(Buffer.concat([header, question, record]), peer.port, peer.address);
    });
  }

  private async forward(port: number): Promise<void> {
    const server = createServer((incoming) => {
      const outgoing = connect(port, '127.0.0.1');
      for (const [one, other] of [
        [incoming, outgoing],
        [outgoing, incoming],
      ] as const) {
        one.setNoDelay(true);
        this.through.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          this.through.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    this.server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, this.address, resolve);
    });
    await until('the way to the broker is open', () => server.listening);
  }
}

function readOptions(data: Buffer): Map<number, Buffer> {
  const options = new Map<number, Buffer>();
  for (let at = 0; at + 1 < data.length && data[at] !== 255;) {
    if (data[at] === 0) {
      at += 1;
      continue;
    }
    options.set(data[at]!, data.subarray(at + 2, at + 2 + data[at + 1]!));
    at += 2 + data[at + 1]!;
  }
  return options;
}
