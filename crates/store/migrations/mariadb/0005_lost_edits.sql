-- The version that both sites had when this one made its last change: what that changed is told against it, if it never
-- crosses. And what was in such a version, which the other site's takeover has outranked; its line is in sync_log.
CREATE TABLE IF NOT EXISTS common_documents (
    protection_group_id VARCHAR(36) NOT NULL PRIMARY KEY,
    document LONGTEXT NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS lost_edits (
    protection_group_id VARCHAR(36) NOT NULL,
    epoch BIGINT NOT NULL,
    version BIGINT NOT NULL,
    edit LONGTEXT NOT NULL,
    PRIMARY KEY (protection_group_id, epoch, version)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
