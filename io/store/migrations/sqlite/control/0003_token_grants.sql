-- What a token may say and hear over MQTT: one grant a line, a verb and a topic filter. Without any it has what its
-- scopes say.
ALTER TABLE tokens ADD COLUMN grants TEXT NOT NULL DEFAULT '';
