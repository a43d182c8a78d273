-- What the variables of a device's foreign topics are: name=value, a line each. A claim code carries them to its device.
ALTER TABLE claims ADD COLUMN names TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN names TEXT NOT NULL DEFAULT '';
-- The device whose connection carries this one; none when it has its own.
ALTER TABLE devices ADD COLUMN carrier BLOB;
