-- Everything belongs to a tenant. Times are milliseconds since 1970 in UTC.
CREATE TABLE tenants (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;
INSERT INTO tenants (id, name, created) VALUES (1, 'first', 0);

CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

-- The hub's own certificates; the newest of a kind counts.
CREATE TABLE authority (
    seq     INTEGER PRIMARY KEY,
    kind    TEXT NOT NULL,
    der     BLOB NOT NULL,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE claims (
    secret_hash BLOB PRIMARY KEY,
    tenant      INTEGER NOT NULL REFERENCES tenants (id),
    name        TEXT NOT NULL,
    profile     TEXT NOT NULL,
    created     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    used_by     BLOB,
    withdrawn   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_open ON claims (tenant, created) WHERE used_by IS NULL AND withdrawn = 0;

CREATE TABLE devices (
    tenant      INTEGER NOT NULL REFERENCES tenants (id),
    id          BLOB NOT NULL,
    incarnation INTEGER NOT NULL,
    name        TEXT NOT NULL,
    state       TEXT NOT NULL,
    standing    TEXT NOT NULL,
    because     TEXT,
    profile     TEXT NOT NULL,
    grouping    TEXT,
    key_storage TEXT NOT NULL,
    created     INTEGER NOT NULL,
    last_seen   INTEGER,
    connected   INTEGER NOT NULL DEFAULT 0,
    revision    INTEGER NOT NULL,
    id_text     TEXT NOT NULL,
    search      TEXT NOT NULL,
    PRIMARY KEY (tenant, id, incarnation)
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_state ON devices (tenant, state, id);
CREATE INDEX devices_standing ON devices (tenant, standing, id);
CREATE INDEX devices_grouping ON devices (tenant, grouping, id);

CREATE TABLE labels (
    tenant      INTEGER NOT NULL,
    device      BLOB NOT NULL,
    incarnation INTEGER NOT NULL,
    key         TEXT NOT NULL,
    value       TEXT NOT NULL,
    PRIMARY KEY (tenant, device, incarnation, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX labels_value ON labels (tenant, key, value);

CREATE TABLE certificates (
    id          BLOB PRIMARY KEY,
    tenant      INTEGER NOT NULL,
    device      BLOB NOT NULL,
    incarnation INTEGER NOT NULL,
    serial      BLOB NOT NULL UNIQUE,
    spki        BLOB NOT NULL,
    der         BLOB NOT NULL,
    not_before  INTEGER NOT NULL,
    not_after   INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    revoked_at  INTEGER,
    reason      INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_device ON certificates (tenant, device, incarnation, created);
CREATE INDEX certificates_revoked ON certificates (not_after) WHERE revoked_at IS NOT NULL;

-- What was known, from when to when. Rows are ended, never changed otherwise.
CREATE TABLE facts (
    seq         INTEGER PRIMARY KEY,
    tenant      INTEGER NOT NULL,
    device      BLOB NOT NULL,
    incarnation INTEGER NOT NULL,
    fact        TEXT NOT NULL,
    since       INTEGER NOT NULL,
    ended       INTEGER
) STRICT;
CREATE UNIQUE INDEX facts_holding ON facts (tenant, device, incarnation, fact) WHERE ended IS NULL;

-- What followed, with its inputs: any change of the rules can be tried against these.
CREATE TABLE decisions (
    seq         INTEGER PRIMARY KEY,
    tenant      INTEGER NOT NULL,
    device      BLOB NOT NULL,
    incarnation INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    facts       TEXT NOT NULL,
    standing    TEXT NOT NULL,
    because     TEXT
) STRICT;
CREATE INDEX decisions_device ON decisions (tenant, device, incarnation, seq);

CREATE TABLE timeline (
    seq         INTEGER PRIMARY KEY,
    tenant      INTEGER NOT NULL,
    device      BLOB NOT NULL,
    incarnation INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    detail      TEXT NOT NULL
) STRICT;
CREATE INDEX timeline_device ON timeline (tenant, device, incarnation, seq);

CREATE TABLE audit (
    tenant  INTEGER NOT NULL,
    idx     INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    record  TEXT NOT NULL,
    leaf    BLOB NOT NULL,
    PRIMARY KEY (tenant, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_subject ON audit (tenant, subject, idx);
CREATE INDEX audit_actor ON audit (tenant, actor, idx);

CREATE TABLE audit_nodes (
    tenant INTEGER NOT NULL,
    level  INTEGER NOT NULL,
    idx    INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    PRIMARY KEY (tenant, level, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    tenant INTEGER NOT NULL,
    size   INTEGER NOT NULL,
    note   TEXT NOT NULL,
    PRIMARY KEY (tenant, size)
) STRICT, WITHOUT ROWID;

CREATE TABLE people (
    id           INTEGER PRIMARY KEY,
    tenant       INTEGER NOT NULL REFERENCES tenants (id),
    name         TEXT NOT NULL UNIQUE COLLATE NOCASE,
    role         TEXT NOT NULL,
    password     TEXT,
    failures     INTEGER NOT NULL DEFAULT 0,
    locked_until INTEGER,
    created      INTEGER NOT NULL
) STRICT;

CREATE TABLE passkeys (
    credential BLOB PRIMARY KEY,
    person     INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    data       TEXT NOT NULL,
    created    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX passkeys_person ON passkeys (person);

CREATE TABLE sessions (
    hash    BLOB PRIMARY KEY,
    person  INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_person ON sessions (person);

CREATE TABLE links (
    hash    BLOB PRIMARY KEY,
    tenant  INTEGER NOT NULL,
    person  INTEGER REFERENCES people (id) ON DELETE CASCADE,
    expires INTEGER NOT NULL,
    used    INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    id      INTEGER PRIMARY KEY,
    hash    BLOB NOT NULL UNIQUE,
    tenant  INTEGER NOT NULL REFERENCES tenants (id),
    name    TEXT NOT NULL,
    scopes  TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER
) STRICT;
