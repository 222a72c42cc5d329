import { CliError } from '../errors.js';
import { systemReason } from '../files/durable.js';

/** No answer from the gateway: it is not there, or the connection broke. */
export class GatewayUnreachableError extends CliError {
  readonly code = 'GATEWAY_UNREACHABLE';
}
/** Something answers, and its certificate does not prove that it is the gateway. Nothing was sent. */
export class GatewayUntrustedError extends CliError {
  readonly code = 'GATEWAY_UNTRUSTED';
}

export interface Trouble {
  readonly gateway: string;
  /** True where a CA was pinned, false where the system's trust store decided. */
  readonly pinned: boolean;
  readonly error: Error & { code?: string; reason?: string };
}

const REFUSED = new Set(['ECONNREFUSED']);
const NO_HOST = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA', 'EAI_NONAME']);
const NO_ROUTE = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ETIMEDOUT']);
/** X509_V_ERR_* of OpenSSL that say: this certificate leads to no CA that is trusted. */
const WRONG_CA = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
]);
const LOGIN_AGAIN =
  'Log in again with the right one: postern login --ca <file> (of make run: $POSTERN_DATA_DIR/ca/rootca.pem)';

/** The sentence for a connection that failed, with what to do next. */
export function explainTrouble({ gateway, pinned, error }: Trouble): CliError {
  const code = error.code ?? '';
  const unreachable = (message: string, ...hints: string[]): CliError =>
    new GatewayUnreachableError(message, { cause: error, hints });
  const untrusted = (message: string, ...hints: string[]): CliError =>
    new GatewayUntrustedError(message, { cause: error, hints });

  if (REFUSED.has(code))
    return unreachable(
      `Nothing listens at ${gateway} (connection refused).`,
      'Is the gateway running? In the checkout, make run starts one; --gateway names another.',
    );
  if (NO_HOST.has(code))
    return unreachable(`There is no host ${new URL(gateway).hostname}, or its name cannot be resolved now.`);
  if (NO_ROUTE.has(code))
    return unreachable(`${gateway} does not answer (${code}).`, 'Is the network up, and the address right?');
  if (WRONG_CA.has(code))
    return pinned
      ? untrusted(
          `The certificate of ${gateway} was not issued by the CA that is pinned for it.`,
          LOGIN_AGAIN,
        )
      : untrusted(
          `The certificate of ${gateway} was not issued by a CA that this machine trusts.`,
          LOGIN_AGAIN,
        );
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return untrusted(
      `The certificate of ${gateway} is not for this name (${error.reason ?? 'no subject alternative name fits'}).`,
      'Use a name that it holds: --gateway https://<name>:<port>',
    );
  if (code === 'CERT_HAS_EXPIRED')
    return untrusted(
      `The certificate of ${gateway} has expired (or this machine's clock is wrong).`,
      'The operator of the gateway has to renew it.',
    );
  if (code === 'CERT_NOT_YET_VALID')
    return untrusted(
      `The certificate of ${gateway} is not valid yet: compare this machine's clock with the gateway's.`,
    );
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO')
    return unreachable(
      `What listens at ${gateway} does not speak TLS as a gateway does (${code}).`,
      'Is the port right? A gateway of make run listens on 8443.',
    );
  return unreachable(`The connection to ${gateway} failed: ${systemReason(error)}.`);
}
