-- Sessions that outlive the hub, and retained messages. A file of its own, so that their many small changes
-- keep neither intake nor the control plane waiting. Numbers of sessions and places are unsigned 64-bit
-- numbers, kept as the signed ones with the same bits.

-- The key that bodies of messages are sealed under, wrapped by the master key.
CREATE TABLE body_key (
    id      INTEGER PRIMARY KEY,
    wrapped BLOB    NOT NULL
) STRICT;

-- `until_ms`: when it ends; none while its client is connected.
CREATE TABLE session (
    number    INTEGER PRIMARY KEY,
    owner     BLOB    NOT NULL,
    client_id TEXT    NOT NULL,
    expiry_s  INTEGER NOT NULL,
    until_ms  INTEGER
) STRICT;

CREATE TABLE subscription (
    session INTEGER NOT NULL,
    filter  TEXT    NOT NULL,
    options BLOB    NOT NULL,
    PRIMARY KEY (session, filter)
) STRICT, WITHOUT ROWID;

-- The body of a message, once for all the places that it waits at: nonce, ciphertext, tag.
CREATE TABLE message (
    id     INTEGER PRIMARY KEY,
    places INTEGER NOT NULL,
    body   BLOB    NOT NULL
) STRICT;

-- What waits for clients. Without a message it is the PUBCOMP that waits.
CREATE TABLE waiting (
    session INTEGER NOT NULL,
    ord     INTEGER NOT NULL,
    options BLOB    NOT NULL,
    message INTEGER,
    PRIMARY KEY (session, ord)
) STRICT, WITHOUT ROWID;

-- A body goes with the last place that it waits at.
CREATE TRIGGER waiting_ends AFTER DELETE ON waiting WHEN old.message IS NOT NULL BEGIN
    DELETE FROM message WHERE id = old.message AND places <= 1;
    UPDATE message SET places = places - 1 WHERE id = old.message;
END;
CREATE TRIGGER waiting_changes AFTER UPDATE OF message ON waiting
WHEN old.message IS NOT NULL AND old.message IS NOT new.message BEGIN
    DELETE FROM message WHERE id = old.message AND places <= 1;
    UPDATE message SET places = places - 1 WHERE id = old.message;
END;

-- Packet identifiers of messages of QoS 2 that clients have not released.
CREATE TABLE taken (
    session INTEGER NOT NULL,
    packet  INTEGER NOT NULL,
    PRIMARY KEY (session, packet)
) STRICT, WITHOUT ROWID;

CREATE TABLE retained (
    topic   TEXT PRIMARY KEY,
    message BLOB NOT NULL
) STRICT;
