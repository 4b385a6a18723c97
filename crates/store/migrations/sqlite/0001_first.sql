-- Ids are 36 characters of text, times are UTC as RFC 3339 with six decimals (so text order is time order),
-- JSON is text. Every statement may be run again.

CREATE TABLE IF NOT EXISTS site_identity (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    public_key TEXT,
    created_at TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS sites (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    site_type TEXT NOT NULL,
    auth_url TEXT NOT NULL,
    region_name TEXT,
    public_key TEXT,
    status TEXT NOT NULL,
    status_reason TEXT,
    service_username TEXT,
    service_password TEXT,
    service_project_name TEXT,
    service_user_domain_name TEXT,
    service_project_domain_name TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS tenant_mappings (
    id TEXT NOT NULL PRIMARY KEY,
    local_tenant TEXT NOT NULL,
    remote_site_id TEXT NOT NULL REFERENCES sites (id),
    remote_tenant TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (remote_site_id, local_tenant)
);

CREATE TABLE IF NOT EXISTS protection_groups (
    id TEXT NOT NULL PRIMARY KEY,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT,
    replication_type TEXT NOT NULL,
    primary_site_id TEXT NOT NULL REFERENCES sites (id),
    secondary_site_id TEXT NOT NULL REFERENCES sites (id),
    current_primary_site_id TEXT NOT NULL REFERENCES sites (id),
    consistency_group_id TEXT NOT NULL,
    volume_type_id TEXT,
    failover_count INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    version INTEGER NOT NULL,
    sync_status TEXT NOT NULL,
    document TEXT NOT NULL,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE IF NOT EXISTS consistency_groups (
    id TEXT NOT NULL PRIMARY KEY,
    protection_group_id TEXT NOT NULL UNIQUE REFERENCES protection_groups (id) ON DELETE CASCADE,
    volume_type_name TEXT,
    backend_name TEXT,
    primary_cg_id TEXT,
    secondary_cg_id TEXT,
    status TEXT NOT NULL,
    volume_count INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS pg_members (
    id TEXT NOT NULL PRIMARY KEY,
    protection_group_id TEXT NOT NULL REFERENCES protection_groups (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    instance_id TEXT NOT NULL,
    instance_name TEXT NOT NULL,
    status TEXT NOT NULL,
    error_message TEXT,
    volume_count INTEGER NOT NULL
);

CREATE INDEX IF NOT EXISTS pg_members_of_group ON pg_members (protection_group_id);

CREATE INDEX IF NOT EXISTS pg_members_by_instance ON pg_members (instance_id);

CREATE TABLE IF NOT EXISTS cg_volumes (
    consistency_group_id TEXT NOT NULL REFERENCES consistency_groups (id) ON DELETE CASCADE,
    member_id TEXT NOT NULL REFERENCES pg_members (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    volume_id TEXT NOT NULL,
    array_name TEXT NOT NULL,
    device TEXT NOT NULL,
    boot INTEGER NOT NULL,
    size_gb INTEGER NOT NULL,
    PRIMARY KEY (consistency_group_id, member_id, position)
);

CREATE INDEX IF NOT EXISTS cg_volumes_by_volume ON cg_volumes (volume_id);

CREATE INDEX IF NOT EXISTS cg_volumes_of_member ON cg_volumes (member_id);

CREATE TABLE IF NOT EXISTS replication_policies (
    id TEXT NOT NULL PRIMARY KEY,
    protection_group_id TEXT NOT NULL UNIQUE REFERENCES protection_groups (id) ON DELETE CASCADE,
    primary_site_id TEXT NOT NULL,
    primary_fa_url TEXT NOT NULL,
    primary_fa_api_token TEXT,
    secondary_site_id TEXT NOT NULL,
    secondary_fa_url TEXT NOT NULL,
    secondary_fa_api_token TEXT,
    pure_pg_name TEXT NOT NULL,
    replication_interval INTEGER,
    rpo_minutes INTEGER,
    status TEXT
);

CREATE TABLE IF NOT EXISTS group_trusts (
    protection_group_id TEXT NOT NULL REFERENCES protection_groups (id) ON DELETE CASCADE,
    site_id TEXT NOT NULL,
    trust_id TEXT NOT NULL,
    PRIMARY KEY (protection_group_id, site_id)
);

CREATE TABLE IF NOT EXISTS sync_nonces (
    value TEXT NOT NULL PRIMARY KEY,
    protection_group_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    expires_at TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS sync_log (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    protection_group_id TEXT NOT NULL,
    at TEXT NOT NULL,
    event TEXT NOT NULL,
    epoch INTEGER,
    version INTEGER,
    message TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS sync_log_of_group ON sync_log (protection_group_id, number);

-- The audit trail: it outlives its group.
CREATE TABLE IF NOT EXISTS dr_operations (
    id TEXT NOT NULL PRIMARY KEY,
    protection_group_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    operation_type TEXT NOT NULL,
    status TEXT NOT NULL,
    outcome TEXT,
    waiting_for TEXT,
    progress INTEGER NOT NULL,
    current_step TEXT,
    source_site_id TEXT NOT NULL,
    target_site_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    started_at TEXT,
    completed_at TEXT,
    error_message TEXT,
    steps_completed TEXT NOT NULL,
    steps_failed TEXT NOT NULL,
    steps TEXT NOT NULL,
    result_data TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS dr_operations_of_project ON dr_operations (project_id, created_at);

CREATE INDEX IF NOT EXISTS dr_operations_of_group ON dr_operations (protection_group_id, created_at);

CREATE TABLE IF NOT EXISTS sagas (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    subject TEXT NOT NULL,
    params TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'ended')),
    outcome TEXT,
    owner TEXT,
    fence INTEGER NOT NULL,
    lease_expires_at TEXT,
    created_at TEXT NOT NULL,
    ended_at TEXT
);

-- One subject has one live saga.
CREATE UNIQUE INDEX IF NOT EXISTS sagas_live_subject ON sagas (subject) WHERE state = 'live';

CREATE INDEX IF NOT EXISTS sagas_live ON sagas (state, lease_expires_at);

CREATE TABLE IF NOT EXISTS saga_events (
    saga_id TEXT NOT NULL REFERENCES sagas (id),
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    event TEXT NOT NULL,
    owner TEXT,
    fence INTEGER,
    PRIMARY KEY (saga_id, seq)
);
