-- What was last seen of a group's servers, for the day when their cloud can't be asked any more. Sealed: user data
-- is part of it.
CREATE TABLE IF NOT EXISTS group_facts (
    protection_group_id TEXT NOT NULL PRIMARY KEY REFERENCES protection_groups (id) ON DELETE CASCADE,
    site_id TEXT NOT NULL,
    read_at TEXT NOT NULL,
    servers TEXT NOT NULL,
    facts TEXT NOT NULL
);
