-- What is kept of groups that are gone: the word of their end for the other site, if it hasn't heard of it yet, and the
-- version up to which nothing brings them back.
CREATE TABLE IF NOT EXISTS deleted_groups (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL,
    primary_site_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    version INTEGER NOT NULL,
    deleted_at TEXT NOT NULL
);
