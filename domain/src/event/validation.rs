//! Which terms can be accepted.

use super::{MAX_LIMIT, Stock, Terms, Tier};
use crate::Time;
use crate::money::MAX_PRICE_MINOR;
use crate::seating::{Invalid, MAX_CAPACITY, MAX_SEATS, NUMBER, Section, SectionKind, count_seats};
use crate::text::{check_long_text, check_text};

const MAX_TTL_S: u32 = 7 * 86_400;
const MAX_TIERS: usize = 200;
const MAX_TAGS: usize = 50;
const MAX_REFUND_RULES: usize = 20;

impl Terms {
    /// That these terms can come instead of those that were published `before`: what those sell
    /// stays, whatever became of the venue (CT-2).
    pub(super) fn check_replacing(
        &self,
        before: &Self,
        venue: &[Section],
        now: Time,
    ) -> Result<(), Invalid> {
        self.check_change(before)?;
        for (index, tier) in self.tiers.iter().enumerate() {
            let new = before.tiers.iter().all(|old| old.tier != tier.tier);
            let at = || format!("tiers[{index}].section");
            if new {
                section_of(&tier.stock, venue, at)?;
            }
        }
        self.check(&before.keep_sections(venue), now)
    }

    /// How the venue is divided for an event that was published with these terms: the seats they
    /// sell are those they were set up with, and a section without seats has room for as many as
    /// the venue says, or as they sell there, whichever is more.
    pub(super) fn keep_sections(&self, venue: &[Section]) -> Vec<Section> {
        let named = |name: &str| venue.iter().find(|section| section.name == name);
        let mut kept: Vec<Section> = vec![];
        for tier in &self.tiers {
            let Some(name) = tier.stock.section() else { continue };
            if kept.iter().any(|section| section.name == name) {
                continue;
            }
            let kind = match &tier.stock {
                Stock::Seated { rows, .. } => SectionKind::Seated { rows: rows.clone() },
                Stock::Counted { .. } => SectionKind::Standing {
                    capacity: self.places_in(name).max(named(name).map_or(0, Section::capacity)),
                },
            };
            kept.push(Section { name: name.into(), kind });
        }
        let is_kept = |section: &&Section| kept.iter().any(|other| other.name == section.name);
        let others: Vec<Section> = venue.iter().filter(|it| !is_kept(it)).cloned().collect();
        [others, kept].concat()
    }

    /// How many places without seats are sold in a section.
    fn places_in(&self, name: &str) -> u32 {
        let here = self.tiers.iter().filter(|tier| tier.stock.section() == Some(name));
        let places = here.map(|tier| match &tier.stock {
            Stock::Counted { capacity, .. } => *capacity,
            Stock::Seated { .. } => 0,
        });
        places.fold(0, u32::saturating_add)
    }

    /// What was published cannot be taken back: tiers, their sections, the venue of seats.
    fn check_change(&self, before: &Self) -> Result<(), Invalid> {
        let seated = before.tiers.iter().any(|tier| matches!(tier.stock, Stock::Seated { .. }));
        let problem = "the venue it was: its seats are on sale";
        Invalid::unless(self.venue == before.venue || !seated, || "venue_id".into(), problem)?;
        let problem = "priced in the currency in which tickets are on sale";
        Invalid::unless(self.currency == before.currency, || "tiers".into(), problem)?;
        for old in &before.tiers {
            let new = self.tiers.iter().position(|tier| tier.tier == old.tier);
            let Some(index) = new else {
                let problem = format!(
                    "complete: the published tier {} ({}) cannot go; lower its capacity instead",
                    old.tier, old.name
                );
                return Err(Invalid::new("tiers", problem));
            };
            let same = match (&old.stock, &self.tiers[index].stock) {
                (Stock::Counted { section: old, .. }, Stock::Counted { section, .. }) => {
                    old == section
                }
                (old, new) => old == new,
            };
            let problem = "the one it was, with the same seats if any: the tier is published";
            Invalid::unless(same, || format!("tiers[{index}].section"), problem)?;
        }
        Ok(())
    }

    /// That new terms are sound, in a venue divided like this.
    pub(super) fn check(&self, sections: &[Section], now: Time) -> Result<(), Invalid> {
        check_text("name", &self.name, 200)?;
        check_text("event_type", &self.event_type, 50)?;
        check_long_text("description", &self.description, 20_000)?;
        for (field, text, most) in [
            ("genre", &self.genre, 50),
            ("language", &self.language, 50),
            ("age_group", &self.age_group, 50),
            ("media_url", &self.media_url, 2_000),
        ] {
            text.as_ref().map_or(Ok(()), |text| check_text(field, text, most))?;
        }
        let web = self.media_url.as_ref().is_none_or(|url| is_web(url));
        Invalid::unless(web, || "media_url".into(), "an http or https URL")?;
        Invalid::unless_few(MAX_TAGS, self.tags.len(), || "tags".into(), "tags")?;
        self.tags.iter().try_for_each(|tag| check_text("tags", tag, 50))?;
        Invalid::unless(self.starts_at > now, || "starts_at".into(), "a time in the future")?;
        let later = self.ends_at > self.starts_at;
        Invalid::unless(later, || "ends_at".into(), "a time after starts_at")?;
        self.check_limits()?;
        self.check_tiers(sections)
    }

    fn check_limits(&self) -> Result<(), Invalid> {
        for (field, seconds) in
            [("hold_ttl_seconds", self.hold_ttl_s), ("waitlist_offer_seconds", self.offer_ttl_s)]
        {
            let what = "a whole number of seconds";
            Invalid::unless_within(1..=MAX_TTL_S, &seconds, || field.into(), what)?;
        }
        for (field, limit) in [
            ("max_tickets_per_booking", Some(self.max_per_booking)),
            ("max_tickets_per_user", self.max_per_user),
        ] {
            check_limit(limit, || field.into())?;
        }
        let rules = self.refund_policy.len();
        Invalid::unless_few(MAX_REFUND_RULES, rules, || "refund_policy".into(), "rules")?;
        let mut before = u64::MAX;
        for (index, rule) in self.refund_policy.iter().enumerate() {
            let at = |field: &str| format!("refund_policy[{index}].{field}");
            Invalid::unless_within(0..=100, &rule.percent, || at("percent"), NUMBER)?;
            let problem = "nearer to the start than that of the rule before";
            let nearer = rule.until_s_before_start < before;
            Invalid::unless(nearer, || at("until_seconds_before_start"), problem)?;
            before = rule.until_s_before_start;
        }
        Ok(())
    }

    /// That its tiers are sound, and sell what a venue divided like this has.
    pub(super) fn check_tiers(&self, sections: &[Section]) -> Result<(), Invalid> {
        if !(1..=MAX_TIERS).contains(&self.tiers.len()) {
            return Err(Invalid::new("tiers", format!("a list of 1 to {MAX_TIERS} tiers")));
        }
        let mut seats: u32 = 0;
        for (index, tier) in self.tiers.iter().enumerate() {
            self.check_tier(index, tier)?;
            check_stock(index, &tier.stock, &self.tiers[..index], sections)?;
            if let Stock::Seated { rows, .. } = &tier.stock {
                seats = seats.saturating_add(count_seats(rows));
            }
        }
        let what = "seats in all tiers together";
        let (most, count) = (MAX_SEATS as usize, seats as usize);
        Invalid::unless_few(most, count, || "tiers".into(), what)?;
        self.check_sections(sections)
    }

    fn check_tier(&self, index: usize, tier: &Tier) -> Result<(), Invalid> {
        let at = |field: &str| format!("tiers[{index}].{field}");
        check_text(&at("name"), &tier.name, 100)?;
        let earlier = &self.tiers[..index];
        let new = earlier.iter().all(|other| other.name != tier.name);
        Invalid::unless(new, || at("name"), "a name that no other tier has")?;
        let new = earlier.iter().all(|other| other.tier != tier.tier);
        Invalid::unless(new, || at("tier_id"), "an id that no other tier has")?;
        let what = "a whole number of minor units";
        Invalid::unless_within(0..=MAX_PRICE_MINOR, &tier.price_minor, || at("price"), what)?;
        check_limit(tier.max_per_booking, || at("max_per_booking"))?;
        let opens = tier.sale_starts_at.is_none_or(|opens| opens < self.starts_at);
        Invalid::unless(opens, || at("sale_starts_at"), "a time before the event starts")?;
        let closes = tier.sale_ends_at.is_none_or(|ends| Some(ends) > tier.sale_starts_at);
        Invalid::unless(closes, || at("sale_ends_at"), "a time after sale_starts_at")
    }

    /// Places of tiers that share a standing section or box fit into it (BK-5).
    fn check_sections(&self, sections: &[Section]) -> Result<(), Invalid> {
        for section in sections {
            let sum = self.places_in(&section.name);
            let holds = section.capacity();
            if sum > holds {
                let problem = format!(
                    "smaller: those of section {} sell {sum} places, but it holds {holds}",
                    section.name
                );
                return Err(Invalid::new("tiers", problem));
            }
        }
        Ok(())
    }
}

/// A limit of tickets, if there is one.
fn check_limit(limit: Option<u32>, field: impl FnOnce() -> String) -> Result<(), Invalid> {
    let Some(limit) = limit else { return Ok(()) };
    Invalid::unless_within(1..=MAX_LIMIT, &limit, field, NUMBER)
}

/// Whether browsers fetch it, instead of carrying it out as they do with `javascript:`.
fn is_web(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let known = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let has_host = rest.starts_with(|c: char| c.is_alphanumeric() || c == '[');
    known && has_host && !url.contains(char::is_whitespace)
}

/// The section that a tier sells, if it is in one; the venue has to have it.
fn section_of<'a>(
    stock: &Stock,
    sections: &'a [Section],
    field: impl FnOnce() -> String,
) -> Result<Option<&'a Section>, Invalid> {
    let Some(name) = stock.section() else { return Ok(None) };
    let found = sections.iter().find(|section| section.name == name);
    let missing = || Invalid::new(field(), "the name of a section of the venue");
    found.map(Some).ok_or_else(missing)
}

/// A tier sells the seats of a section that has seats, or places of one that has none.
fn check_stock(
    index: usize,
    stock: &Stock,
    earlier: &[Tier],
    sections: &[Section],
) -> Result<(), Invalid> {
    let at = |field: &str| format!("tiers[{index}].{field}");
    let section = section_of(stock, sections, || at("section"))?;
    let venue_rows = section.and_then(|section| match &section.kind {
        SectionKind::Seated { rows } => Some(rows),
        SectionKind::Standing { .. } | SectionKind::Box { .. } => None,
    });
    match stock {
        Stock::Counted { capacity, .. } => {
            Invalid::unless_within(0..=MAX_CAPACITY, capacity, || at("capacity"), NUMBER)?;
            let problem = "the name of a section without seats, or absent";
            Invalid::unless(venue_rows.is_none(), || at("section"), problem)
        }
        Stock::Seated { section, rows } => {
            let once = earlier.iter().all(|other| other.stock.section() != Some(section));
            Invalid::unless(once, || at("section"), "a section that no other tier sells")?;
            let same = venue_rows == Some(rows);
            Invalid::unless(same, || at("section"), "a section with just the seats of the tier")
        }
    }
}
