-- Availability per event and tier (CT-4). What is available is capacity - held - sold.
CREATE SCHEMA availability;

-- One row per event whose inventory was opened.
CREATE TABLE availability.inventory (
    event_id uuid PRIMARY KEY,
    -- 'closed' once the event was cancelled.
    status text NOT NULL CHECK (status IN ('open', 'closed')),
    -- Entries of the waitlist that wait.
    waiting integer NOT NULL,
    -- Of the last fact that changed anything here.
    position bigint NOT NULL
);

CREATE TABLE availability.tier (
    event_id uuid NOT NULL,
    tier_id uuid NOT NULL,
    -- Place in the event's list of tiers, from 0.
    ordinal integer NOT NULL,
    name text NOT NULL,
    price_minor bigint NOT NULL,
    currency text NOT NULL,
    -- The section of the venue it is in, if any.
    section text,
    -- Whether it sells named seats.
    seated boolean NOT NULL,
    sale_starts_at timestamptz,
    sale_ends_at timestamptz,
    -- The tier's own limit or the event's, whichever is lower.
    max_per_booking integer NOT NULL,
    capacity integer NOT NULL,
    held integer NOT NULL,
    sold integer NOT NULL,
    PRIMARY KEY (event_id, tier_id)
);
