// Opens or creates the CA in argv[2] and prints the root's text: one of several processes at once.
import { openOrCreateAuthority } from '@postern/certs';

const [dir, keyFile, crlUrl] = process.argv.slice(2);
process.stdout.write('started\n');
const authority = await openOrCreateAuthority({ dir, keyFile, crlUrl });
process.stdout.write(authority.rootCaPem);
