-- What was last seen of a group's servers, for the day when their cloud can't be asked any more. Sealed: user data
-- is part of it.
CREATE TABLE IF NOT EXISTS group_facts (
    protection_group_id VARCHAR(36) NOT NULL PRIMARY KEY,
    site_id VARCHAR(36) NOT NULL,
    read_at VARCHAR(27) NOT NULL,
    servers LONGTEXT NOT NULL,
    facts LONGTEXT NOT NULL,
    CONSTRAINT group_facts_group FOREIGN KEY (protection_group_id) REFERENCES protection_groups (id) ON DELETE CASCADE
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
