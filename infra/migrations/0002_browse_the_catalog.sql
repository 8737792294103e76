-- Venues and events (CT-1, CT-2, CT-3).
--
-- Columns ending in `_key` are what browsing compares: trimmed and in lower case by the program,
-- because what SQL calls lower case depends on the database's locale.
CREATE SCHEMA catalog;

CREATE TABLE catalog.venue (
    venue_id uuid PRIMARY KEY,
    owner uuid NOT NULL,
    name text NOT NULL,
    address text NOT NULL,
    city text NOT NULL,
    city_key text NOT NULL,
    state text,
    country text NOT NULL,
    postal_code text,
    latitude double precision,
    longitude double precision,
    -- `[domain::seating::Section]` as JSON; a seated section has `rows`, the others a `capacity`.
    sections json NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- Of the last fact about it.
    position bigint NOT NULL
);

CREATE TABLE catalog.event (
    event_id uuid PRIMARY KEY,
    organizer uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('draft', 'published', 'cancelled')),
    name text NOT NULL,
    description text NOT NULL,
    venue_id uuid NOT NULL,
    -- The venue's, repeated here for browsing; NULL only when the venue is not known.
    city text,
    city_key text,
    event_type text NOT NULL,
    event_type_key text NOT NULL,
    genre text,
    genre_key text,
    language text,
    age_group text,
    media_url text,
    tags text[] NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    currency text NOT NULL,
    -- Lowest and highest price of its tiers, in minor units.
    price_min_minor bigint NOT NULL,
    price_max_minor bigint NOT NULL,
    -- `[domain::event::Tier]` as JSON.
    tiers json NOT NULL,
    hold_ttl_s integer NOT NULL,
    offer_ttl_s integer NOT NULL,
    max_per_booking integer NOT NULL,
    max_per_user integer,
    -- `[domain::event::RefundRule]` as JSON.
    refund_policy json NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- Of the last fact about it.
    position bigint NOT NULL
);
-- Pages are keyed by (starts_at, event_id) within one status.
CREATE INDEX ON catalog.event (status, starts_at, event_id);
CREATE INDEX ON catalog.event (status, city_key, starts_at, event_id);
CREATE INDEX ON catalog.event (status, event_type_key, starts_at, event_id);
CREATE INDEX ON catalog.event (status, genre_key, starts_at, event_id);
CREATE INDEX ON catalog.event (organizer, starts_at, event_id);
CREATE INDEX ON catalog.event (venue_id);
