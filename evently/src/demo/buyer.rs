//! What buyers do. Each decides by a number of their own, so that every demo is the same.

use domain::BookingId;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Answer, Ask};
use super::sale::{Sale, count};
use super::stage::{OnSale, Stage};

/// What someone does with a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Pays,
    /// The first card is declined.
    PaysWithSecondCard,
    PaysAndCancels,
    GivesBack,
    LetsDie,
}

/// What someone came for.
struct Wish {
    on_sale: OnSale,
    quantity: u32,
    /// The seat to begin with, for those who choose seats.
    seat: Option<u32>,
    /// Sends everything twice at once.
    impatient: bool,
    ending: Ending,
}

/// A number that looks random and is the same every time.
fn mixed(number: u32, purpose: u64) -> u64 {
    let mut mixed =
        u64::from(number).wrapping_add(purpose << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Wish {
    fn of(number: u32, stage: &Stage) -> Self {
        let seated = mixed(number, 1).is_multiple_of(2);
        let on_sale = if seated { stage.seated } else { stage.standing };
        let quantity = [1, 1, 2, 2, 2, 3, 4][(mixed(number, 2) % 7) as usize];
        let chooses = seated && !mixed(number, 3).is_multiple_of(3);
        let seat = chooses.then(|| (mixed(number, 4) % u64::from(on_sale.places)) as u32);
        let ending = match mixed(number, 5) % 20 {
            0..13 => Ending::Pays,
            13 => Ending::PaysWithSecondCard,
            14 => Ending::PaysAndCancels,
            15 | 16 => Ending::GivesBack,
            _ => Ending::LetsDie,
        };
        let impatient = mixed(number, 6).is_multiple_of(16);
        Self { on_sale, quantity, seat, impatient, ending }
    }
}

/// Someone with a token of their own.
pub(super) struct Buyer<'a> {
    sale: &'a Sale,
    number: u32,
    token: String,
}

impl<'a> Buyer<'a> {
    pub(super) fn new(sale: &'a Sale, number: u32, token: String) -> Self {
        Self { sale, number, token }
    }

    /// Someone comes, takes what there is, or waits for it.
    pub(super) async fn comes(&self) {
        let mut wish = Wish::of(self.number, &self.sale.stage);
        for attempt in 0..4 {
            match self.reserve(&wish, attempt).await {
                Answer::Done(booking) => return self.use_hold(&wish, &booking).await,
                // Somebody else has one of the seats: any others will do.
                Answer::Refused(code) if code == "SEAT_TAKEN" => wish.seat = None,
                Answer::Refused(code) if code == "INSUFFICIENT_SEATS" => {
                    match self.join_waitlist(&wish, attempt).await {
                        // Something came back in the meantime.
                        Answer::Refused(code) if code == "TICKETS_AVAILABLE" => {}
                        Answer::Done(_) => return count(&self.sale.tally.waitlisted),
                        _ => return,
                    }
                }
                _ => return,
            }
        }
    }

    async fn reserve(&self, wish: &Wish, attempt: u32) -> Answer {
        let Wish { on_sale, quantity, seat, .. } = *wish;
        let body = match seat {
            Some(first) => {
                let seats: Vec<String> =
                    (first..first + quantity).map(|seat| on_sale.seat(seat)).collect();
                json!({"event_id": on_sale.event, "seats": seats})
            }
            None => {
                json!({"event_id": on_sale.event, "tier_id": on_sale.tier, "quantity": quantity})
            }
        };
        let key = format!("reserve-{attempt}");
        let ask = || self.post("reserve", "/bookings/reserve", &key, body.clone());
        if !wish.impatient {
            return ask().await;
        }
        let (one, other) = tokio::join!(ask(), ask());
        match (one, other) {
            (Answer::Done(one), Answer::Done(other)) => {
                count(&self.sale.tally.repeated);
                if one["booking_id"] != other["booking_id"] {
                    let complaint = format!("reserve: one key made two bookings: {one} {other}");
                    self.sale.client.complain(complaint);
                }
                Answer::Done(one)
            }
            (one @ Answer::Done(_), _) => one,
            (_, other) => other,
        }
    }

    async fn join_waitlist(&self, wish: &Wish, attempt: u32) -> Answer {
        let OnSale { event, tier, .. } = wish.on_sale;
        let body = json!({"event_id": event, "tier_id": tier, "quantity": wish.quantity});
        self.post("join waitlist", "/waitlist/join", &format!("wait-{attempt}"), body).await
    }

    async fn use_hold(&self, wish: &Wish, booking: &Value) {
        count(&self.sale.tally.held);
        let Ok(id) = serde_json::from_value::<BookingId>(booking["booking_id"].clone()) else {
            return self.sale.client.complain(format!("reserve: no booking in {booking}"));
        };
        match wish.ending {
            Ending::Pays => {
                self.confirm(id, "tok_success", "confirm").await;
            }
            Ending::PaysWithSecondCard => {
                self.confirm(id, "tok_declined", "confirm").await;
                self.confirm(id, "tok_success", "confirm-again").await;
            }
            Ending::PaysAndCancels => {
                if self.confirm(id, "tok_success", "confirm").await {
                    self.cancel(id).await;
                }
            }
            Ending::GivesBack => self.cancel(id).await,
            Ending::LetsDie => count(&self.sale.tally.let_die),
        }
    }

    /// Whether it is confirmed.
    async fn confirm(&self, booking: BookingId, token: &str, key: &str) -> bool {
        let body = json!({"booking_id": booking, "payment_token": token});
        let key = format!("{key}-{booking}");
        let answer = self.post("confirm", "/bookings/confirm", &key, body).await;
        let done = matches!(answer, Answer::Done(_));
        if done {
            count(&self.sale.tally.confirmed);
        }
        done
    }

    async fn cancel(&self, booking: BookingId) {
        let path = format!("/bookings/{booking}");
        let (method, token) = (Method::DELETE, self.token.as_str());
        let key = Some(format!("cancel-{booking}"));
        let ask = Ask { command: "cancel", method, path: &path, token, key, body: None };
        if matches!(self.sale.client.send(ask).await, Answer::Done(_)) {
            count(&self.sale.tally.cancelled);
        }
    }

    /// Someone who waited is offered something. One in ten has lost interest.
    pub(super) async fn is_offered(&self, booking: BookingId) {
        count(&self.sale.tally.offered);
        if mixed(self.number, 7).is_multiple_of(10) {
            return count(&self.sale.tally.let_die);
        }
        if self.confirm(booking, "tok_success", "confirm").await {
            count(&self.sale.tally.served);
        }
    }

    async fn post(&self, command: &'static str, path: &str, key: &str, body: Value) -> Answer {
        let (method, token) = (Method::POST, self.token.as_str());
        let (key, body) = (Some(key.to_owned()), Some(body));
        self.sale.client.send(Ask { command, method, path, token, key, body }).await
    }
}
