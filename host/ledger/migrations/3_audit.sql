-- Audit events, to which is only appended. An empty text is none.
CREATE TABLE audit (
    time_ms BIGINT NOT NULL,
    backend TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    target TEXT NOT NULL,
    actor TEXT NOT NULL,
    owner TEXT NOT NULL,
    grp TEXT NOT NULL,
    outcome TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    request_id TEXT NOT NULL
);

CREATE INDEX audit_of_time ON audit (time_ms);
