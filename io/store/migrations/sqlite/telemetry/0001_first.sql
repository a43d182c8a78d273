-- Readings. A file of its own, so that intake and the control plane never wait for each other.

-- One data key for each life of each device, wrapped by the master key. Destroying the row makes every
-- chunk of the device unreadable, wherever it was copied to.
CREATE TABLE data_key (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant      INTEGER NOT NULL,
    device      BLOB    NOT NULL,
    incarnation INTEGER NOT NULL,
    wrapped     BLOB    NOT NULL,
    made_ms     INTEGER NOT NULL,
    UNIQUE (tenant, device, incarnation)
) STRICT;

-- Keys of the journal live until its readings are sealed.
CREATE TABLE journal_key (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    wrapped BLOB    NOT NULL,
    made_ms INTEGER NOT NULL
) STRICT;

-- What readings belong to. `sealed_journal`: readings of journal rows up to this one are in chunks.
CREATE TABLE series (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant         INTEGER NOT NULL,
    device         BLOB    NOT NULL,
    incarnation    INTEGER NOT NULL,
    name           TEXT    NOT NULL,
    kind           INTEGER NOT NULL,
    retention_days INTEGER NOT NULL,
    sealed_journal INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, device, incarnation, name, kind)
) STRICT;

-- One row a group commit: nonce, block, tag. The ids never start again.
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    key      INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    block    BLOB    NOT NULL
) STRICT;

-- About a thousand points of one series: nonce, summary and columns, tag.
CREATE TABLE chunk (
    id       INTEGER PRIMARY KEY,
    tenant   INTEGER NOT NULL,
    series   INTEGER NOT NULL,
    key      INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms  INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    body     BLOB    NOT NULL
) STRICT;
CREATE INDEX chunk_by_time ON chunk (series, last_ms);

-- Devices that were erased; replayed when a backup is restored, so that backups lose them too.
CREATE TABLE tombstone (
    tenant      INTEGER NOT NULL,
    device      BLOB    NOT NULL,
    incarnation INTEGER NOT NULL,
    erased_ms   INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, incarnation)
) STRICT;
