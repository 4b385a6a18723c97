-- What is kept of groups that are gone: the word of their end for the other site, if it hasn't heard of it yet, and the
-- version up to which nothing brings them back.
CREATE TABLE IF NOT EXISTS deleted_groups (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    primary_site_id VARCHAR(36) NOT NULL,
    epoch BIGINT NOT NULL,
    version BIGINT NOT NULL,
    deleted_at VARCHAR(27) NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
