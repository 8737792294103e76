-- Keys of services: other programs of the operator. A key that is revoked stays, to be listed.
CREATE TABLE identity.service_key (
    id uuid PRIMARY KEY,
    hash bytea NOT NULL UNIQUE,
    name text NOT NULL,
    -- Names, one space between them.
    scopes text NOT NULL,
    created_at_ms bigint NOT NULL,
    revoked_at_ms bigint
);
