/** `Post`, in the header of every registry: tells it from any other SQLite file. */
export const APPLICATION_ID = 0x506f7374;

/**
 * One entry for each schema version, applied in order; never changed once released. Text is compared byte by
 * byte (BINARY), which is the order of code points. Times are milliseconds since 1970.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    username TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE sessions (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL,
    token_hash TEXT NOT NULL,
    previous_token_hash TEXT,
    rotated_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sessions_by_expiry ON sessions (expires_at);

  CREATE TABLE api_secrets (
    secret_hash TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX api_secrets_by_use ON api_secrets (user_id, last_used_at);
  CREATE INDEX api_secrets_by_expiry ON api_secrets (expires_at);

  CREATE TABLE login_failures (
    username TEXT PRIMARY KEY NOT NULL,
    count INTEGER NOT NULL,
    last_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX login_failures_by_time ON login_failures (last_at);

  CREATE TABLE devices (
    id TEXT PRIMARY KEY NOT NULL,
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('flat', 'api')),
    key_type TEXT NOT NULL,
    password_hash TEXT,
    sealed_key TEXT,
    removed_at INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX devices_by_name ON devices (owner_id, name) WHERE removed_at IS NULL;
  CREATE INDEX devices_by_removal ON devices (removed_at) WHERE removed_at IS NOT NULL;

  CREATE TABLE certificates (
    serial TEXT PRIMARY KEY NOT NULL,
    device_id TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    fingerprint_sha256 TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revocation_reason TEXT,
    CHECK ((revoked_at IS NULL) = (revocation_reason IS NULL))
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX certificates_by_device ON certificates (device_id, issued_at);
  -- The CRL's entries, in its order.
  CREATE INDEX certificates_by_revocation ON certificates (serial, not_after, revoked_at, revocation_reason)
    WHERE revoked_at IS NOT NULL;

  -- The bulk of the file, apart from what each login of a device reads.
  CREATE TABLE certificate_chains (
    serial TEXT PRIMARY KEY NOT NULL REFERENCES certificates (serial) ON DELETE CASCADE,
    chain_pem TEXT NOT NULL
  ) STRICT;

  CREATE TABLE presence (
    device_id TEXT PRIMARY KEY NOT NULL,
    connected INTEGER NOT NULL CHECK (connected IN (0, 1)),
    last_seen_at INTEGER,
    address TEXT,
    transport TEXT,
    connection TEXT,
    protocol INTEGER NOT NULL CHECK (protocol IN (1, 2)),
    methods TEXT,
    model TEXT,
    version TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX presence_connected ON presence (device_id) WHERE connected = 1;

  CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor_id TEXT,
    actor_name TEXT,
    action TEXT NOT NULL,
    target TEXT,
    outcome TEXT NOT NULL,
    address TEXT,
    request_id TEXT
  ) STRICT;
  CREATE INDEX audit_by_time ON audit (at);
  CREATE INDEX audit_by_actor ON audit (actor_id, at);
  CREATE INDEX audit_by_target ON audit (target, at);

  CREATE TABLE idempotency (
    id TEXT PRIMARY KEY NOT NULL,
    request_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    status INTEGER,
    content_type TEXT,
    body TEXT
  ) STRICT;
  CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

  CREATE TABLE counters (
    name TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
];

/**
 * Tables whose structure is checked at each start. Not the chains and the audit record: they are most of the
 * file and would make the check a matter of seconds.
 */
export const CHECKED_TABLES = [
  'users',
  'sessions',
  'api_secrets',
  'login_failures',
  'devices',
  'certificates',
  'presence',
  'idempotency',
  'counters',
] as const;
