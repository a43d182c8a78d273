-- What is to be said for the clients of sessions when they vanish: nonce, ciphertext, tag.
CREATE TABLE will (
    session INTEGER PRIMARY KEY,
    body    BLOB    NOT NULL
) STRICT;
