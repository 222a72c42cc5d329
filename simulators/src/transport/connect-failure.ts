/** Why a connection did not come about, for programs. */
export type ConnectFailureCode =
  | 'BROKER_UNREACHABLE'
  | 'BROKER_UNTRUSTED'
  | 'CERTIFICATE_REFUSED'
  | 'LOGIN_REFUSED'
  | 'NOT_ALLOWED'
  | 'CONNECTION_LOST';

/** A failed attempt to connect: what happened, and what to check. */
export interface ConnectFailure {
  code: ConnectFailureCode;
  message: string;
}

interface Rule {
  code: ConnectFailureCode;
  /** Matched against the error's code and message, both as the library gives them. */
  pattern: RegExp;
  advice: string;
}

/** First match counts. */
const RULES: readonly Rule[] = [
  {
    code: 'BROKER_UNREACHABLE',
    pattern: /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|connack timeout/i,
    advice: 'is the broker running, and are host and port right?',
  },
  {
    code: 'BROKER_UNTRUSTED',
    pattern: /ALTNAME_INVALID/,
    advice: "the broker's certificate is for another name: connect by a name that it holds",
  },
  {
    code: 'BROKER_UNTRUSTED',
    pattern:
      /UNABLE_TO|SELF_SIGNED|CERT_HAS_EXPIRED|CERT_NOT_YET_VALID|CERT_SIGNATURE|not authorized \(tls\)/i,
    advice: "the broker's certificate does not lead to the CA given: is it this gateway's rootca.pem?",
  },
  {
    code: 'CERTIFICATE_REFUSED',
    pattern: /ERR_SSL_\w*ALERT|certificate (required|expired|revoked|unknown)|unknown ca|bad certificate/i,
    advice:
      "the broker refuses the device's certificate: is it signed by this broker's CA, not expired, with the chain behind it?",
  },
  {
    code: 'LOGIN_REFUSED',
    pattern: /ACCESS.REFUSED|Connection refused: (Bad username|Not authorized)|Not authorized|403/i,
    advice:
      'the login was refused: is the device registered and not revoked, is --id the id in its certificate, and are user name and password (if any) its own?',
  },
  {
    code: 'NOT_ALLOWED',
    pattern: /refused the subscription/,
    advice: 'the broker does not let this device subscribe: is --id its own id?',
  },
];

/** Turns what a library threw into a sentence that says what to check. */
export function explainConnectError(error: Error, where: string): ConnectFailure {
  const code = String((error as NodeJS.ErrnoException).code ?? '');
  const text = `${code} ${error.message}`;
  const rule = RULES.find(({ pattern }) => pattern.test(text));
  const what = error.message === '' ? code : error.message.split('\n')[0]!;
  return {
    code: rule?.code ?? 'CONNECTION_LOST',
    message: `${where}: ${what}${rule ? ` - ${rule.advice}` : ''}`,
  };
}
