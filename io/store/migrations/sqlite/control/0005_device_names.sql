-- What the variables of a device's foreign topics are: name=value, a line each. A claim code carries them to its device.
ALTER TABLE claims ADD COLUMN names TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN names TEXT NOT NULL DEFAULT '';
