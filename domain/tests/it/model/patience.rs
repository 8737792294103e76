//! What people let go without buying, as one would keep it on paper: everything that lapsed is one line
//! of a list, which a purchase strikes out and who gives that purchase back writes anew.

use domain::inventory::{CancelledBy, Fact, Patience};
use domain::{BookingId, Time, UserId};

use super::shop::{Shop, State};

const DAY_S: u64 = 86_400;

/// Something was given back or died.
#[derive(Debug)]
struct Lapse {
    user: UserId,
    /// The purchase that strikes it out.
    struck_by: Option<BookingId>,
}

#[derive(Debug, Default)]
pub(super) struct Lapses {
    list: Vec<Lapse>,
    /// When the day of each who let something go began.
    days: Vec<(UserId, Time)>,
}

impl Lapses {
    pub(super) fn take_in(&mut self, fact: &Fact, now: Time) {
        match fact {
            Fact::Expired(fact) => self.lapse(fact.user, now),
            Fact::Confirmed(fact) => {
                let open = |it: &&mut Lapse| it.user == fact.user && it.struck_by.is_none();
                self.list.iter_mut().filter(open).for_each(|it| it.struck_by = Some(fact.booking));
            }
            Fact::Cancelled(fact) if fact.by == CancelledBy::Buyer && fact.admin.is_none() => {
                self.lapse(fact.user, now);
                let struck = |it: &&mut Lapse| it.struck_by == Some(fact.booking);
                self.list.iter_mut().filter(struck).for_each(|it| it.struck_by = None);
            }
            _ => {}
        }
    }

    fn lapse(&mut self, user: UserId, now: Time) {
        if !self.days.iter().any(|(of, since)| *of == user && now < since.plus_s(DAY_S)) {
            self.list.retain(|it| it.user != user);
            self.days.retain(|(of, _)| *of != user);
            self.days.push((user, now));
        }
        self.list.push(Lapse { user, struck_by: None });
    }
}

impl Shop {
    /// Whether the person may let something go once more.
    pub(super) fn is_trusted(&self, user: UserId, patience: Option<Patience>, now: Time) -> bool {
        let of_today = |(of, since): &(UserId, Time)| *of == user && now < since.plus_s(DAY_S);
        let open = |it: &&Lapse| it.user == user && it.struck_by.is_none();
        let lapsed = self.lapses.list.iter().filter(open).count();
        !self.lapses.days.iter().any(of_today)
            || patience.is_none_or(|patience| lapsed < patience.lapsed as usize)
    }

    /// Whether the person holds less than they may.
    pub(super) fn holds_little(&self, user: UserId, patience: Option<Patience>) -> bool {
        let live = |it: &&super::shop::Booking| it.user == user && it.state == State::Held;
        let live = self.bookings.iter().filter(live).count();
        patience.is_none_or(|patience| live < patience.holds as usize)
    }
}
