-- The version that both sites had when this one made its last change: what that changed is told against it, if it never
-- crosses. And what was in such a version, which the other site's takeover has outranked; its line is in sync_log.
CREATE TABLE IF NOT EXISTS common_documents (
    protection_group_id TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS lost_edits (
    protection_group_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    version INTEGER NOT NULL,
    edit TEXT NOT NULL,
    PRIMARY KEY (protection_group_id, epoch, version)
);
