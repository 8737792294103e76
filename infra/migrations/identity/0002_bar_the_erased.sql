-- Whose access tokens are refused although they are valid, until none of them is any more.
CREATE TABLE identity.barred (
    person uuid PRIMARY KEY,
    expires_at_ms bigint NOT NULL
);
CREATE INDEX ON identity.barred (expires_at_ms);
