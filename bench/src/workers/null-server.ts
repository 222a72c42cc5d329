import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { serve } from '../worker.js';

/** An HTTPS server that sends back what came: what the load generator can do where the server does nothing. */
serve({
  listen: ({ certFile, keyFile }: { certFile: string; keyFile: string }) =>
    new Promise((resolve) => {
      const server = createServer(
        { cert: readFileSync(certFile), key: readFileSync(keyFile) },
        (request, response) => {
          const chunks: Buffer[] = [];
          request.on('data', (chunk: Buffer) => chunks.push(chunk));
          request.on('end', () => {
            const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
            response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
            response.end(body);
          });
        },
      );
      server.listen(0, '127.0.0.1', () =>
        resolve(`https://localhost:${(server.address() as AddressInfo).port}`),
      );
    }),
});
