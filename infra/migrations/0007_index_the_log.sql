-- Where in the log to look for what (AU-1). The records themselves stay in the log.
CREATE SCHEMA audit;

CREATE TABLE audit.record (
    position bigint PRIMARY KEY,
    stream text NOT NULL,
    revision bigint NOT NULL,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    event_id uuid,
    booking_number bigint,
    -- The person it is about, e.g. who booked; else who asked for it.
    user_id uuid,
    -- Who asked for it, when that is someone else.
    actor_id uuid
);
CREATE INDEX ON audit.record (event_id, position) WHERE event_id IS NOT NULL;
CREATE INDEX ON audit.record (event_id, booking_number, position) WHERE booking_number IS NOT NULL;
CREATE INDEX ON audit.record (user_id, position) WHERE user_id IS NOT NULL;
CREATE INDEX ON audit.record (actor_id, position) WHERE actor_id IS NOT NULL;
CREATE INDEX ON audit.record (at);
