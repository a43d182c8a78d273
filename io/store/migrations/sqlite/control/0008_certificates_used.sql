-- When the device was first seen to have a certificate. Of those from before nobody knows: they count as used.
ALTER TABLE certificates ADD COLUMN used INTEGER;
UPDATE certificates SET used = created;
