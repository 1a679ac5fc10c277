-- Objects that are stored. An empty group is none.
CREATE TABLE object (
    backend TEXT NOT NULL,
    key TEXT NOT NULL,
    size BIGINT NOT NULL,
    owner TEXT NOT NULL,
    grp TEXT NOT NULL,
    PRIMARY KEY (backend, key)
);

-- Counters: scope is owner, group or backend.
CREATE TABLE usage (
    backend TEXT NOT NULL,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    used BIGINT NOT NULL DEFAULT 0,
    reserved BIGINT NOT NULL DEFAULT 0,
    objects BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (backend, scope, name)
);

-- Writes in progress, and signed URLs (expires is not 0).
CREATE TABLE reservation (
    id BIGINT NOT NULL PRIMARY KEY,
    holder BIGINT NOT NULL,
    backend TEXT NOT NULL,
    key TEXT NOT NULL,
    owner TEXT NOT NULL,
    grp TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    deletes BIGINT NOT NULL,
    need_owner BIGINT NOT NULL,
    need_group BIGINT NOT NULL,
    need_backend BIGINT NOT NULL,
    contested BIGINT NOT NULL DEFAULT 0,
    expires BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX reservation_of_key ON reservation (backend, key);
CREATE INDEX reservation_of_url ON reservation (backend, expires);
