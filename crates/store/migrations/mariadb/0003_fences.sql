-- Which servers of which site must not run again, because their group was taken from it. A fence outlives its group: the
-- servers are there all the same.
CREATE TABLE IF NOT EXISTS fences (
    protection_group_id VARCHAR(36) NOT NULL,
    site_id VARCHAR(36) NOT NULL,
    epoch BIGINT NOT NULL,
    since VARCHAR(27) NOT NULL,
    fenced_at VARCHAR(27),
    replicated_back_at VARCHAR(27),
    trouble LONGTEXT,
    servers LONGTEXT NOT NULL,
    replaced LONGTEXT NOT NULL,
    array_group VARCHAR(255),
    PRIMARY KEY (protection_group_id, site_id, epoch)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
