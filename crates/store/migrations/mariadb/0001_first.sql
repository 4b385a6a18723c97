-- Ids are 36 characters of text, times are UTC as RFC 3339 with six decimals (so text order is time order),
-- JSON is text. Text is compared byte by byte, blanks at its end included, as SQLite does it. What changes a table
-- can't be undone here: every statement may be run again.

CREATE TABLE IF NOT EXISTS site_identity (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id VARCHAR(36) NOT NULL,
    public_key TEXT,
    created_at VARCHAR(27) NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS sites (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    description TEXT NOT NULL,
    site_type VARCHAR(32) NOT NULL,
    auth_url TEXT NOT NULL,
    region_name VARCHAR(255),
    public_key TEXT,
    status VARCHAR(32) NOT NULL,
    status_reason TEXT,
    service_username VARCHAR(255),
    service_password TEXT,
    service_project_name VARCHAR(255),
    service_user_domain_name VARCHAR(255),
    service_project_domain_name VARCHAR(255),
    created_at VARCHAR(27) NOT NULL,
    updated_at VARCHAR(27) NOT NULL,
    UNIQUE KEY sites_name (name)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS tenant_mappings (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    local_tenant VARCHAR(255) NOT NULL,
    remote_site_id VARCHAR(36) NOT NULL,
    remote_tenant VARCHAR(255) NOT NULL,
    description TEXT NOT NULL,
    created_at VARCHAR(27) NOT NULL,
    UNIQUE KEY tenant_mappings_local_tenant (remote_site_id, local_tenant),
    CONSTRAINT tenant_mappings_of_site FOREIGN KEY (remote_site_id) REFERENCES sites (id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS protection_groups (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    project_id VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    description TEXT NOT NULL,
    status VARCHAR(32) NOT NULL,
    status_reason TEXT,
    replication_type VARCHAR(32) NOT NULL,
    primary_site_id VARCHAR(36) NOT NULL,
    secondary_site_id VARCHAR(36) NOT NULL,
    current_primary_site_id VARCHAR(36) NOT NULL,
    consistency_group_id VARCHAR(36) NOT NULL,
    volume_type_id VARCHAR(255),
    failover_count BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    version BIGINT NOT NULL,
    sync_status VARCHAR(32) NOT NULL,
    document LONGTEXT NOT NULL,
    state LONGTEXT NOT NULL,
    revision BIGINT NOT NULL,
    created_at VARCHAR(27) NOT NULL,
    updated_at VARCHAR(27) NOT NULL,
    UNIQUE KEY protection_groups_name (project_id, name),
    CONSTRAINT protection_groups_primary FOREIGN KEY (primary_site_id) REFERENCES sites (id),
    CONSTRAINT protection_groups_secondary FOREIGN KEY (secondary_site_id) REFERENCES sites (id),
    CONSTRAINT protection_groups_current FOREIGN KEY (current_primary_site_id) REFERENCES sites (id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS consistency_groups (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    protection_group_id VARCHAR(36) NOT NULL,
    volume_type_name VARCHAR(255),
    backend_name VARCHAR(255),
    primary_cg_id VARCHAR(255),
    secondary_cg_id VARCHAR(255),
    status VARCHAR(32) NOT NULL,
    volume_count BIGINT NOT NULL,
    UNIQUE KEY consistency_groups_of_group (protection_group_id),
    CONSTRAINT consistency_groups_group FOREIGN KEY (protection_group_id)
        REFERENCES protection_groups (id) ON DELETE CASCADE
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS pg_members (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    protection_group_id VARCHAR(36) NOT NULL,
    position BIGINT NOT NULL,
    instance_id VARCHAR(255) NOT NULL,
    instance_name VARCHAR(255) NOT NULL,
    status VARCHAR(32) NOT NULL,
    error_message TEXT,
    volume_count BIGINT NOT NULL,
    KEY pg_members_of_group (protection_group_id),
    KEY pg_members_by_instance (instance_id),
    CONSTRAINT pg_members_group FOREIGN KEY (protection_group_id) REFERENCES protection_groups (id) ON DELETE CASCADE
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS cg_volumes (
    consistency_group_id VARCHAR(36) NOT NULL,
    member_id VARCHAR(36) NOT NULL,
    position BIGINT NOT NULL,
    volume_id VARCHAR(255) NOT NULL,
    array_name VARCHAR(255) NOT NULL,
    device VARCHAR(255) NOT NULL,
    boot BOOLEAN NOT NULL,
    size_gb BIGINT NOT NULL,
    PRIMARY KEY (consistency_group_id, member_id, position),
    KEY cg_volumes_by_volume (volume_id),
    KEY cg_volumes_of_member (member_id),
    CONSTRAINT cg_volumes_group FOREIGN KEY (consistency_group_id)
        REFERENCES consistency_groups (id) ON DELETE CASCADE,
    CONSTRAINT cg_volumes_member FOREIGN KEY (member_id) REFERENCES pg_members (id) ON DELETE CASCADE
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS replication_policies (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    protection_group_id VARCHAR(36) NOT NULL,
    primary_site_id VARCHAR(36) NOT NULL,
    primary_fa_url TEXT NOT NULL,
    primary_fa_api_token TEXT,
    secondary_site_id VARCHAR(36) NOT NULL,
    secondary_fa_url TEXT NOT NULL,
    secondary_fa_api_token TEXT,
    pure_pg_name VARCHAR(255) NOT NULL,
    replication_interval BIGINT,
    rpo_minutes BIGINT,
    status VARCHAR(32),
    UNIQUE KEY replication_policies_of_group (protection_group_id),
    CONSTRAINT replication_policies_group FOREIGN KEY (protection_group_id)
        REFERENCES protection_groups (id) ON DELETE CASCADE
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS group_trusts (
    protection_group_id VARCHAR(36) NOT NULL,
    site_id VARCHAR(36) NOT NULL,
    trust_id TEXT NOT NULL,
    PRIMARY KEY (protection_group_id, site_id),
    CONSTRAINT group_trusts_group FOREIGN KEY (protection_group_id) REFERENCES protection_groups (id) ON DELETE CASCADE
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS sync_nonces (
    value VARCHAR(255) NOT NULL PRIMARY KEY,
    protection_group_id VARCHAR(36) NOT NULL,
    site_id VARCHAR(36) NOT NULL,
    expires_at VARCHAR(27) NOT NULL,
    KEY sync_nonces_by_end (expires_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS sync_log (
    number BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    protection_group_id VARCHAR(36) NOT NULL,
    at VARCHAR(27) NOT NULL,
    event VARCHAR(255) NOT NULL,
    epoch BIGINT,
    version BIGINT,
    message TEXT NOT NULL,
    KEY sync_log_of_group (protection_group_id, number)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- The audit trail: it outlives its group.
CREATE TABLE IF NOT EXISTS dr_operations (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    protection_group_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    operation_type VARCHAR(32) NOT NULL,
    status VARCHAR(32) NOT NULL,
    outcome VARCHAR(64),
    waiting_for TEXT,
    progress BIGINT NOT NULL,
    current_step TEXT,
    source_site_id VARCHAR(36) NOT NULL,
    target_site_id VARCHAR(36) NOT NULL,
    created_at VARCHAR(27) NOT NULL,
    started_at VARCHAR(27),
    completed_at VARCHAR(27),
    error_message LONGTEXT,
    steps_completed LONGTEXT NOT NULL,
    steps_failed LONGTEXT NOT NULL,
    steps LONGTEXT NOT NULL,
    result_data LONGTEXT NOT NULL,
    KEY dr_operations_of_project (project_id, created_at),
    KEY dr_operations_of_group (protection_group_id, created_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

-- One subject has one live saga: the column is NULL, which is never twice, in all others. The key by time lets an
-- engine lock no more sagas than it takes.
CREATE TABLE IF NOT EXISTS sagas (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    kind VARCHAR(255) NOT NULL,
    version BIGINT NOT NULL,
    subject VARCHAR(255) NOT NULL,
    params LONGTEXT NOT NULL,
    state VARCHAR(16) NOT NULL CHECK (state IN ('live', 'ended')),
    outcome VARCHAR(64),
    owner VARCHAR(255),
    fence BIGINT NOT NULL,
    lease_expires_at VARCHAR(27),
    created_at VARCHAR(27) NOT NULL,
    ended_at VARCHAR(27),
    live_subject VARCHAR(255) AS (CASE WHEN state = 'live' THEN subject END) STORED,
    UNIQUE KEY sagas_live_subject (live_subject),
    KEY sagas_live (state, created_at, id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;

CREATE TABLE IF NOT EXISTS saga_events (
    saga_id VARCHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    at VARCHAR(27) NOT NULL,
    event LONGTEXT NOT NULL,
    owner VARCHAR(255),
    fence BIGINT,
    PRIMARY KEY (saga_id, seq),
    CONSTRAINT saga_events_saga FOREIGN KEY (saga_id) REFERENCES sagas (id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;
