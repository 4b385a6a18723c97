-- Which servers of which site must not run again, because their group was taken from it. A fence outlives its group: the
-- servers are there all the same.
CREATE TABLE IF NOT EXISTS fences (
    protection_group_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    since TEXT NOT NULL,
    fenced_at TEXT,
    replicated_back_at TEXT,
    trouble TEXT,
    servers TEXT NOT NULL,
    replaced TEXT NOT NULL,
    array_group TEXT,
    PRIMARY KEY (protection_group_id, site_id, epoch)
);
