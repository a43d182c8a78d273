-- SHA-256 over the password of a device that can do no better; none for a device with certificates.
ALTER TABLE devices ADD COLUMN password BLOB;
CREATE INDEX devices_password ON devices (tenant) WHERE password IS NOT NULL;
