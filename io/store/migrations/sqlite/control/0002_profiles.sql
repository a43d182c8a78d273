-- Device profiles that were added here, and what owners take away from them. A built-in profile has a row
-- once its owner narrowed it, and no document in it.
CREATE TABLE profiles (
    tenant             INTEGER NOT NULL REFERENCES tenants (id),
    name               TEXT NOT NULL,
    document           BLOB,
    waiting            BLOB,
    withheld           TEXT NOT NULL,
    essential          TEXT NOT NULL,
    retention_days_max INTEGER,
    revision           INTEGER NOT NULL,
    changed            INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_profile ON devices (tenant, profile);
