-- The state of every seat (CT-4).
CREATE SCHEMA seats;

-- One row per event that sells seats; the version of its seat map.
CREATE TABLE seats.map (
    event_id uuid PRIMARY KEY,
    -- Of the last fact that changed a seat.
    position bigint NOT NULL
);

CREATE TABLE seats.seat (
    event_id uuid NOT NULL,
    -- `section-row-seat`, e.g. `A-12-7`.
    seat text NOT NULL,
    tier_id uuid NOT NULL,
    -- Place in the event's map: by tier, row from the front, and seat from one end to the other.
    ordinal integer NOT NULL,
    accessible boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('free', 'held', 'sold')),
    -- The booking that has it, unless it is free.
    booking_number bigint,
    PRIMARY KEY (event_id, seat)
);
