-- SHA-256 over the certificate that a program shows instead of a secret.
ALTER TABLE tokens ADD COLUMN certificate BLOB;
