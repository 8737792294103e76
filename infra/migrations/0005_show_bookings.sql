-- Bookings with their history (BK-1 to BK-4, BK-9). Amounts in minor units.
--
-- JSON columns hold what the API shows, with its ids; they are never searched, so they are `json`
-- where they are replaced as a whole and `jsonb` where they grow.
CREATE SCHEMA bookings;

CREATE TABLE bookings.booking (
    event_id uuid NOT NULL,
    -- The 64 bits of the booking's number, as a signed integer.
    booking_number bigint NOT NULL,
    user_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('held', 'confirmed', 'cancelled', 'expired')),
    -- The deadline of the hold or offer; stays when the hold has ended.
    expires_at timestamptz NOT NULL,
    -- [{tier_id, seat?, quantity, unit_price, amount}]
    line_items json NOT NULL,
    -- [{ticket_id, tier_id, seat?}]; empty until confirmed.
    tickets json NOT NULL,
    subtotal_minor bigint NOT NULL,
    discount_minor bigint NOT NULL,
    total_minor bigint NOT NULL,
    currency text NOT NULL,
    -- The last payment that was started for it.
    payment_id uuid,
    refund_minor bigint,
    refund_status text CHECK (refund_status IN ('pending', 'refunded')),
    -- The place in the waitlist it was offered to.
    waitlist_id uuid,
    reserved_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    -- Of the fact that made it; orders a person's bookings.
    reserved_position bigint NOT NULL,
    -- Of the last fact about it.
    position bigint NOT NULL,
    -- [{type, at}], oldest first. On the row rather than in a table of its own: measured, that
    -- rebuilds faster by a third and is read with the booking.
    history jsonb NOT NULL,
    PRIMARY KEY (event_id, booking_number)
);
CREATE INDEX ON bookings.booking (user_id, reserved_position DESC);
