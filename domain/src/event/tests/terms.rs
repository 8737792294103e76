//! What an organizer may say about an event.

use super::*;
use crate::money::MAX_PRICE_MINOR;

/// Drafts with one thing changed, and returns the field that is refused.
#[track_caller]
fn wrong(change: impl FnOnce(&mut Terms)) -> Option<String> {
    let mut terms = terms();
    change(&mut terms);
    invalid(when(&[], 0, &draft(owner(), terms)))
}

#[track_caller]
fn refused(field: &str, change: impl FnOnce(&mut Terms)) {
    assert_eq!(wrong(change).as_deref(), Some(field));
}

#[track_caller]
fn accepted(change: impl FnOnce(&mut Terms)) {
    assert_eq!(wrong(change), None);
}

#[test]
fn texts_are_printable_and_not_endless() {
    for nothing in ["", " ", "\u{0}", "a\u{7}", "\u{9b}1m", "a\nb", "a\r", "a\tb", "a\u{2029}b"] {
        refused("name", |terms| terms.name = nothing.into());
        refused("event_type", |terms| terms.event_type = nothing.into());
        refused("genre", |terms| terms.genre = Some(nothing.into()));
        refused("language", |terms| terms.language = Some(nothing.into()));
        refused("age_group", |terms| terms.age_group = Some(nothing.into()));
        refused("media_url", |terms| terms.media_url = Some(nothing.into()));
        refused("tags", |terms| terms.tags = vec!["good".into(), nothing.into()]);
        refused("tiers[0].name", |terms| terms.tiers[0].name = nothing.into());
    }
    refused("description", |terms| terms.description = "\u{0}".into());
    accepted(|terms| terms.description = "Two\r\nlines,\ta tab".into());
    for (most, field) in [(200, "name"), (50, "event_type"), (20_000, "description")] {
        let set = |terms: &mut Terms, length: usize| {
            let text = "x".repeat(length);
            match field {
                "name" => terms.name = text,
                "event_type" => terms.event_type = text,
                _ => terms.description = text,
            }
        };
        accepted(|terms| set(terms, most));
        refused(field, |terms| set(terms, most + 1));
    }
    accepted(|terms| terms.tags = vec!["tag".into(); 50]);
    refused("tags", |terms| terms.tags = vec!["tag".into(); 51]);
}

#[test]
fn a_picture_is_on_the_web() {
    for url in [
        "javascript:alert(1)",
        "javascript://x.org/%0aalert(1)",
        "data:text/html,x",
        "ftp://x.org/a",
        "//x.org/a",
        "https://",
        "https:///a",
        "http:x.org",
        " https://x.org",
        "https://x.org/a b",
    ] {
        refused("media_url", |terms| terms.media_url = Some(url.into()));
    }
    for url in ["https://x.org/a.jpg", "HTTP://x.org:80/?q#f", "http://[::1]/a", "https://ü.de"] {
        accepted(|terms| terms.media_url = Some(url.into()));
    }
}

#[test]
fn an_event_is_in_the_future_and_ends_after_it_starts() {
    refused("starts_at", |terms| terms.starts_at = day(0));
    accepted(|terms| terms.starts_at = day(0).plus_ms(1));
    refused("ends_at", |terms| terms.ends_at = terms.starts_at);
    accepted(|terms| terms.ends_at = terms.starts_at.plus_ms(1));
}

#[test]
fn limits_are_sane() {
    for seconds in [0, 604_801] {
        refused("hold_ttl_seconds", |terms| terms.hold_ttl_s = seconds);
        refused("waitlist_offer_seconds", |terms| terms.offer_ttl_s = seconds);
    }
    for limit in [0, 1_001] {
        refused("max_tickets_per_booking", |terms| terms.max_per_booking = limit);
        refused("max_tickets_per_user", |terms| terms.max_per_user = Some(limit));
        refused("tiers[1].max_per_booking", |terms| terms.tiers[1].max_per_booking = Some(limit));
    }
    accepted(|terms| {
        (terms.hold_ttl_s, terms.offer_ttl_s) = (1, 604_800);
        (terms.max_per_booking, terms.max_per_user) = (MAX_LIMIT, Some(1));
        terms.tiers[0].max_per_booking = Some(MAX_LIMIT);
    });
}

/// What is said of the bounds of a number is what holds.
#[test]
fn bounds_are_told_as_they_are() {
    type Set = fn(&mut Terms, u32);
    let numbers: [(&str, Set); 8] = [
        ("hold_ttl_seconds", |terms, it| terms.hold_ttl_s = it),
        ("waitlist_offer_seconds", |terms, it| terms.offer_ttl_s = it),
        ("max_tickets_per_booking", |terms, it| terms.max_per_booking = it),
        ("max_tickets_per_user", |terms, it| terms.max_per_user = Some(it)),
        ("tiers[0].max_per_booking", |terms, it| terms.tiers[0].max_per_booking = Some(it)),
        ("tiers[0].capacity", |terms, it| terms.tiers[0].stock = counted(it, None)),
        ("refund_policy[0].percent", |terms, it| {
            let percent = u8::try_from(it).unwrap_or(u8::MAX);
            terms.refund_policy = vec![RefundRule { until_s_before_start: 9, percent }];
        }),
        ("tiers[0].price", |terms, it| {
            // A bound beyond 32 bits: as many times of it.
            terms.tiers[0].price_minor =
                if it == u32::MAX { i64::MAX } else { i64::from(it) * (MAX_PRICE_MINOR / 1_000) };
        }),
    ];
    for (field, set) in numbers {
        let mut terms = terms();
        set(&mut terms, u32::MAX);
        let refusal = when(&[], 0, &draft(owner(), terms)).unwrap_err();
        let Refusal::Invalid(Invalid { field: named, problem }) = refusal else {
            panic!("{field}")
        };
        assert_eq!(named, field);
        let bounds = problem.rsplit_once(" from ").unwrap().1.split_once(" to ").unwrap();
        let bound = |text: &str| text.parse::<i64>().unwrap();
        let (low, high) = (bound(bounds.0), bound(bounds.1));
        let high = if field.ends_with("price") { high * 1_000 / MAX_PRICE_MINOR } else { high };
        let (low, high) = (u32::try_from(low).unwrap(), u32::try_from(high).unwrap());
        accepted(|terms| set(terms, low));
        accepted(|terms| set(terms, high));
        refused(field, |terms| set(terms, high + 1));
        if low > 0 {
            refused(field, |terms| set(terms, low - 1));
        }
    }
}

#[test]
fn refund_rules_come_nearer_to_the_start() {
    let rule = |until_s_before_start, percent| RefundRule { until_s_before_start, percent };
    let set = |rules: &[RefundRule]| {
        let rules = rules.to_vec();
        move |terms: &mut Terms| terms.refund_policy = rules
    };
    accepted(set(&[]));
    accepted(set(&[rule(9, 100), rule(8, 0), rule(0, 50)]));
    refused("refund_policy[0].percent", set(&[rule(9, 101)]));
    let until = "refund_policy[1].until_seconds_before_start";
    refused(until, set(&[rule(9, 100), rule(9, 50)]));
    refused(until, set(&[rule(9, 50), rule(10, 50), rule(8, 50)]));
    let many = |count: u64| (0..count).rev().map(|at| rule(at, 1)).collect::<Vec<_>>();
    accepted(set(&many(20)));
    refused("refund_policy", set(&many(21)));
}

#[test]
fn tiers_are_told_apart_and_priced() {
    refused("tiers", |terms| terms.tiers = vec![]);
    let many = |count: u128| {
        let one = |id| tier(TierId::from_u128(id), counted(1, None));
        (0..count).map(one).collect::<Vec<_>>()
    };
    accepted(|terms| terms.tiers = many(200));
    refused("tiers", |terms| terms.tiers = many(201));
    refused("tiers[1].name", |terms| terms.tiers[1].name = terms.tiers[0].name.clone());
    refused("tiers[1].tier_id", |terms| terms.tiers[1].tier = FLOOR);
    refused("tiers[1].price", |terms| terms.tiers[1].price_minor = -1);
    refused("tiers[1].price", |terms| terms.tiers[1].price_minor = MAX_PRICE_MINOR + 1);
    accepted(|terms| {
        terms.tiers[0].price_minor = 0;
        terms.tiers[1].price_minor = MAX_PRICE_MINOR;
    });
}

#[test]
fn a_sale_window_opens_before_the_start_and_closes_later() {
    refused("tiers[0].sale_starts_at", |terms| terms.tiers[0].sale_starts_at = Some(day(10)));
    accepted(|terms| terms.tiers[0].sale_starts_at = Some(day(9)));
    accepted(|terms| terms.tiers[0].sale_ends_at = Some(day(0)));
    refused("tiers[0].sale_ends_at", |terms| {
        terms.tiers[0].sale_starts_at = Some(day(5));
        terms.tiers[0].sale_ends_at = Some(day(5));
    });
}

#[test]
fn a_tier_sells_what_the_venue_has() {
    let floor = |stock: Stock| move |terms: &mut Terms| terms.tiers[0].stock = stock;
    accepted(floor(counted(100, Some("pit"))));
    refused("tiers", floor(counted(101, Some("pit"))));
    accepted(floor(counted(10, Some("box"))));
    refused("tiers", floor(counted(11, Some("box"))));
    accepted(floor(counted(10_000_000, None)));
    accepted(floor(counted(0, None)));
    refused("tiers[0].capacity", floor(counted(10_000_001, None)));
    refused("tiers[0].section", floor(counted(1, Some("nowhere"))));
    // Places without a seat in a section that has seats would be sold beside them.
    refused("tiers[0].section", floor(counted(1, Some("A"))));
    // Tiers share a section as long as it holds them all.
    let share = |more| {
        move |terms: &mut Terms| {
            terms.tiers.push(tier(TierId::from_u128(13), counted(more, Some("pit"))));
        }
    };
    accepted(share(50));
    refused("tiers", share(51));
}

#[test]
fn a_section_of_seats_is_sold_by_one_tier_as_it_is() {
    let stalls = |stock: Stock| move |terms: &mut Terms| terms.tiers[1].stock = stock;
    refused("tiers[1].section", stalls(seated(&[row("1", 3)])));
    refused("tiers[1].section", stalls(seated(&[row("1", 3), row("2", 3)])));
    let pit = Stock::Seated { section: "pit".into(), rows: vec![row("1", 3)] };
    refused("tiers[1].section", stalls(pit));
    refused("tiers[2].section", |terms| {
        terms.tiers.push(tier(TierId::from_u128(13), terms.tiers[1].stock.clone()));
    });
}
