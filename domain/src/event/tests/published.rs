//! What can still be changed once an event is public (CT-2).

use super::*;

/// Changes one thing of the published event, with the venue divided like this.
#[track_caller]
fn change_with(
    sections: Vec<Section>,
    change: impl FnOnce(&mut Terms),
) -> Result<Vec<Fact>, Refusal> {
    let mut terms = terms();
    change(&mut terms);
    when(&[drafted(super::terms()), published(OWNER)], 1, &change_in(sections, terms))
}

fn change_in(sections: Vec<Section>, terms: Terms) -> Command {
    Command::Change { event: EVENT, caller: owner(), terms: Box::new(terms), sections }
}

#[track_caller]
fn refused(field: &str, change: impl FnOnce(&mut Terms)) {
    assert_eq!(invalid(change_with(sections(), change)).as_deref(), Some(field));
}

#[track_caller]
fn accepted(change: impl FnOnce(&mut Terms) + Copy) {
    let mut terms = terms();
    change(&mut terms);
    assert_eq!(change_with(sections(), change), Ok(vec![changed(OWNER, terms)]));
}

#[test]
fn words_times_prices_and_capacities_can_change() {
    accepted(|terms| terms.name = "Other".into());
    accepted(|terms| terms.tiers[0].stock = counted(0, Some("pit")));
    accepted(|terms| terms.tiers[0].stock = counted(100, Some("pit")));
    accepted(|terms| terms.tiers[1].price_minor = 5);
    accepted(|terms| terms.tiers.reverse());
    accepted(|terms| terms.tiers.push(tier(TierId::from_u128(13), counted(50, Some("pit")))));
    refused("tiers", |terms| terms.tiers[0].stock = counted(101, Some("pit")));
    refused("starts_at", |terms| terms.starts_at = day(1));
}

#[test]
fn a_tier_its_seats_and_its_currency_stay() {
    refused("tiers", |terms| terms.tiers.truncate(1));
    refused("tiers", |terms| terms.tiers[0].tier = TierId::from_u128(13));
    refused("tiers", |terms| terms.currency = "USD".parse().unwrap());
    refused("tiers[1].section", |terms| terms.tiers[1].stock = counted(5, None));
    refused("tiers[1].section", |terms| {
        terms.tiers[1].stock = Stock::Seated { section: "pit".into(), rows: vec![row("1", 3)] };
    });
    refused("tiers[0].section", |terms| terms.tiers[0].stock = seated(&[row("1", 3), row("2", 2)]));
    // Places that left their section would be sold beside those that come into it.
    refused("tiers[0].section", |terms| terms.tiers[0].stock = counted(50, None));
    refused("tiers[0].section", |terms| terms.tiers[0].stock = counted(10, Some("box")));
    refused("tiers[0].section", |terms| terms.tiers[0].stock = counted(0, Some("nowhere")));
    refused("tiers[2].section", |terms| {
        terms.tiers.push(tier(TierId::from_u128(13), terms.tiers[1].stock.clone()));
    });
}

#[test]
fn the_venue_of_seats_stays_and_that_of_places_may_change() {
    let elsewhere = VenueId::from_u128(10);
    refused("venue_id", |terms| terms.venue = elsewhere);
    let places = || Terms { tiers: vec![tier(FLOOR, counted(50, Some("pit")))], ..terms() };
    let moved = || Terms { venue: elsewhere, ..places() };
    let facts = [drafted(places()), published(OWNER)];
    assert_eq!(when(&facts, 1, &change(owner(), moved())), Ok(vec![changed(OWNER, moved())]));
    // Where there is less room, or none of that name, nobody loses a place.
    let bare = change_in(vec![], moved());
    assert_eq!(when(&facts, 1, &bare), Ok(vec![changed(OWNER, moved())]));
}

#[test]
fn what_becomes_of_the_venue_does_not_touch_seats_on_sale() {
    let rebuilt = |kind: SectionKind| vec![sections()[0].clone(), section("A", kind)];
    let rows = vec![row("1", 1)];
    let fewer = rebuilt(SectionKind::Seated { rows: rows.clone() });
    let standing = rebuilt(SectionKind::Standing { capacity: 500 });
    let gone = vec![sections()[0].clone()];
    let public = [drafted(terms()), published(OWNER)];
    for venue in [&fewer, &standing, &gone] {
        let seen = after(&public).sections(venue);
        assert!(seen.contains(&sections()[2]), "{seen:?}");
        assert_eq!(seen.iter().filter(|section| section.name == "A").count(), 1, "{seen:?}");
        assert_eq!(change_with(venue.clone(), |_| {}), Ok(vec![changed(OWNER, terms())]));
    }
    let lost = |terms: &mut Terms| terms.tiers[1].stock = seated(&rows);
    assert_eq!(invalid(change_with(fewer.clone(), lost)).as_deref(), Some("tiers[1].section"));
    // A draft follows the venue instead.
    let draft = [drafted(terms())];
    assert_eq!(after(&draft).sections(&fewer), fewer);
    let command = change_in(fewer, terms());
    assert_eq!(invalid(when(&draft, 1, &command)).as_deref(), Some("tiers[1].section"));
}

#[test]
fn places_on_sale_stay_in_a_venue_that_shrank_and_grow_only_with_it() {
    let seats = || sections()[2].clone();
    let pit = |capacity| vec![section("pit", SectionKind::Standing { capacity }), seats()];
    let rows = vec![row("1", 5)];
    let shrunk = [
        ("smaller", pit(5)),
        ("gone", vec![seats()]),
        ("seated", vec![section("pit", SectionKind::Seated { rows }), seats()]),
    ];
    let floor =
        |capacity| move |terms: &mut Terms| terms.tiers[0].stock = counted(capacity, Some("pit"));
    for (name, venue) in shrunk {
        let to = |capacity| change_with(venue.clone(), floor(capacity));
        for fits in [50, 49, 0] {
            assert_eq!(invalid(to(fits)), None, "{name} {fits}");
        }
        assert_eq!(invalid(to(51)).as_deref(), Some("tiers"), "{name}");
        // What was given up does not come back.
        let mut fewer = terms();
        floor(20)(&mut fewer);
        let facts = [drafted(terms()), published(OWNER), changed(OWNER, fewer.clone())];
        let again = |terms| invalid(when(&facts, 1, &change_in(venue.clone(), terms)));
        assert_eq!(again(fewer.clone()), None, "{name}");
        assert_eq!(again(terms()).as_deref(), Some("tiers"), "{name}");
    }
    let grown = |capacity| change_with(pit(70), floor(capacity));
    assert_eq!((invalid(grown(70)), invalid(grown(71))), (None, Some("tiers".into())));
}

#[test]
fn tiers_that_share_a_section_have_together_what_they_had() {
    let more = |capacity| tier(TierId::from_u128(13), counted(capacity, Some("pit")));
    let both = |floor, second| {
        let mut terms = terms();
        terms.tiers[0].stock = counted(floor, Some("pit"));
        terms.tiers.push(more(second));
        terms
    };
    let facts = [drafted(both(50, 30)), published(OWNER)];
    let venue = vec![section("pit", SectionKind::Standing { capacity: 5 }), sections()[2].clone()];
    let wrong = |terms| invalid(when(&facts, 1, &change_in(venue.clone(), terms)));
    assert_eq!(wrong(both(50, 30)), None);
    assert_eq!(wrong(both(40, 40)), None);
    assert_eq!(wrong(both(51, 30)).as_deref(), Some("tiers"));
    // What is new needs a section that the venue still has.
    let gone = vec![sections()[2].clone()];
    let refused = invalid(change_with(gone, |terms| terms.tiers.push(more(0))));
    assert_eq!(refused.as_deref(), Some("tiers[2].section"));
}
