-- What is kept beside the log because it has to be able to be destroyed. State: it cannot be built
-- again, so it needs backups of its own. Times are milliseconds since 1970.
CREATE SCHEMA IF NOT EXISTS identity;

CREATE TABLE identity.key (
    kind text NOT NULL,
    id bytea NOT NULL,
    -- NULL when it was destroyed for ever.
    wrapped bytea,
    PRIMARY KEY (kind, id)
);

CREATE TABLE identity.erasing (person uuid PRIMARY KEY);

CREATE TABLE identity.session (
    id uuid PRIMARY KEY,
    person uuid NOT NULL,
    opened_at_ms bigint NOT NULL,
    used_at_ms bigint NOT NULL,
    expires_at_ms bigint NOT NULL
);
CREATE INDEX ON identity.session (person);
CREATE INDEX ON identity.session (expires_at_ms);

CREATE TABLE identity.refresh_token (
    hash bytea PRIMARY KEY,
    session uuid NOT NULL REFERENCES identity.session ON DELETE CASCADE,
    is_spent boolean NOT NULL DEFAULT false,
    expires_at_ms bigint NOT NULL
);
CREATE INDEX ON identity.refresh_token (session);
CREATE INDEX ON identity.refresh_token (expires_at_ms);

CREATE TABLE identity.code (
    hash bytea PRIMARY KEY,
    person uuid NOT NULL,
    purpose text NOT NULL,
    payload text NOT NULL,
    expires_at_ms bigint NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX ON identity.code (person, purpose, expires_at_ms);
