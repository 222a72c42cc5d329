import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type SecureVersion, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Authority, IssuedCertificate } from '@postern/certs';
import { tempCa, type TempCa } from './support/temp-ca.js';

interface Peer {
  chainPem: string;
  privateKeyPem: string;
}

/** What both ends saw: the client's names, or why there is no session. */
async function handshake(parts: {
  server: Peer;
  client?: Peer;
  rootCaPem: string;
  serverTrusts?: string;
  version: SecureVersion;
  servername?: string;
}): Promise<{ clientName: string; protocol: string | null }> {
  const versions = { minVersion: parts.version, maxVersion: parts.version };
  const server = createServer({
    cert: parts.server.chainPem,
    key: parts.server.privateKeyPem,
    ca: parts.serverTrusts ?? parts.rootCaPem,
    requestCert: true,
    // The verdict is asked for below, because a refusal ends as a reset that says no reason.
    rejectUnauthorized: false,
    ...versions,
  });
  const open: TLSSocket[] = [];
  try {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = new Promise<TLSSocket>((resolve, reject) => {
      server.on('secureConnection', (socket) => {
        open.push(socket);
        if (socket.authorized) resolve(socket);
        else reject(new Error(String(socket.authorizationError)));
      });
      server.on('tlsClientError', reject);
    });
    const client = connect({
      host: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      ca: parts.rootCaPem,
      servername: parts.servername ?? 'localhost',
      ...(parts.client ? { cert: parts.client.chainPem, key: parts.client.privateKeyPem } : {}),
      ...versions,
    });
    open.push(client);
    const connected = once(client, 'secureConnect');
    const failed = new Promise<never>((_, reject) => client.on('error', reject));
    const [socket] = await Promise.all([Promise.race([accepted, failed]), Promise.race([connected, failed])]);
    return { clientName: String(socket.getPeerCertificate().subject.CN), protocol: socket.getProtocol() };
  } finally {
    open.forEach((socket) => socket.destroy());
    await new Promise((resolve) => server.close(resolve));
  }
}

function peer(issued: IssuedCertificate): Peer {
  if (issued.privateKeyPem === undefined) throw new Error('no key');
  return { chainPem: issued.chainPem, privateKeyPem: issued.privateKeyPem };
}

describe('mutual TLS with what is issued here', () => {
  let ca: TempCa;
  let foreign: TempCa;
  beforeAll(async () => {
    [ca, foreign] = [await tempCa(), await tempCa()];
  });
  afterAll(() => [ca, foreign].forEach((each) => each.remove()));

  const server = (authority: Authority, profile: 'broker' | 'https', keyType: 'ec-p256' | 'rsa-2048') =>
    profile === 'broker'
      ? authority.issueBrokerServer({ dnsNames: ['localhost'], keyType })
      : authority.issueHttpsServer({ dnsNames: ['localhost'], keyType });

  const versions = ['TLSv1.2', 'TLSv1.3'] as const;
  const keys = ['ec-p256', 'rsa-2048'] as const;
  const pairs = versions.flatMap((version) =>
    keys.flatMap((serverKey) =>
      keys.flatMap((clientKey) =>
        (['broker', 'https'] as const).flatMap((profile) =>
          (['device', 'gateway'] as const).map((who) => ({ version, serverKey, clientKey, profile, who })),
        ),
      ),
    ),
  );

  it.each(pairs)('$version: $profile ($serverKey) and $who ($clientKey)', async (pair) => {
    const client =
      pair.who === 'device'
        ? await ca.authority.issueDevice({ deviceId: 'd1', keyType: pair.clientKey })
        : await ca.authority.issueGatewayClient({ keyType: pair.clientKey });
    const seen = await handshake({
      server: peer(await server(ca.authority, pair.profile, pair.serverKey)),
      client: peer(client),
      rootCaPem: ca.authority.rootCaPem,
      version: pair.version,
    });
    expect(seen).toEqual({
      clientName: pair.who === 'device' ? 'd1' : 'postern-gateway',
      protocol: pair.version,
    });
  });

  it('takes a client that sends its leaf alone where the server has the trust bundle', async () => {
    const device = await ca.authority.issueDevice({ deviceId: 'd1' });
    const seen = await handshake({
      server: peer(await server(ca.authority, 'broker', 'ec-p256')),
      client: { ...peer(device), chainPem: device.certificatePem },
      rootCaPem: ca.authority.rootCaPem,
      serverTrusts: ca.authority.trustBundlePem,
      version: 'TLSv1.3',
    });
    expect(seen.clientName).toBe('d1');
  });

  describe.each(versions)('refused over %s', (version) => {
    const attempt = async (parts: { server?: Peer; client?: Peer; servername?: string }) =>
      handshake({
        server: peer(await server(ca.authority, 'broker', 'ec-p256')),
        rootCaPem: ca.authority.rootCaPem,
        version,
        ...parts,
      });

    it('a client without a certificate', async () => {
      await expect(attempt({})).rejects.toThrow(/^UNABLE_TO_GET_ISSUER_CERT$/);
    });
    it("a foreign CA's device", async () => {
      const client = peer(await foreign.authority.issueDevice({ deviceId: 'd1' }));
      await expect(attempt({ client })).rejects.toThrow(
        /^(SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)$/,
      );
    });
    it('a server certificate shown by a client', async () => {
      const client = peer(await server(ca.authority, 'https', 'ec-p256'));
      await expect(attempt({ client })).rejects.toThrow(/^INVALID_PURPOSE$/);
    });
    it("a device's certificate shown by a server", async () => {
      const device = peer(await ca.authority.issueDevice({ deviceId: 'localhost' }));
      await expect(attempt({ server: device, client: device })).rejects.toThrow(/purpose/i);
    });
    it('a server under another name', async () => {
      const client = peer(await ca.authority.issueDevice({ deviceId: 'd1' }));
      await expect(attempt({ client, servername: 'other' })).rejects.toThrow(/altnames/i);
    });
  });
});
