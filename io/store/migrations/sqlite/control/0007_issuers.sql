-- An issuing CA that is not trusted any more: since when, and the reason code of RFC 5280.
ALTER TABLE authority ADD COLUMN distrusted INTEGER;
ALTER TABLE authority ADD COLUMN reason INTEGER;
CREATE INDEX authority_kind ON authority (kind, seq);

-- By which issuing CA (authority.seq). Until now there was one.
ALTER TABLE certificates ADD COLUMN issuer INTEGER NOT NULL DEFAULT 0;
UPDATE certificates SET issuer = coalesce((SELECT max(seq) FROM authority WHERE kind = 'issuing'), 0);
CREATE INDEX certificates_issuer ON certificates (issuer, not_after);

-- The same of the certificate that a program shows, and its serial number; older ones have none here.
ALTER TABLE tokens ADD COLUMN issuer INTEGER;
ALTER TABLE tokens ADD COLUMN serial BLOB;
UPDATE tokens SET issuer = (SELECT max(seq) FROM authority WHERE kind = 'issuing') WHERE certificate IS NOT NULL;

-- Certificates of programs whose tokens were taken away, until they end by themselves.
CREATE TABLE revoked_programs (
    serial     BLOB PRIMARY KEY,
    issuer     INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    revoked_at INTEGER NOT NULL,
    reason     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
