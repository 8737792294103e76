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
    let (caller, terms) = (owner(), Box::new(terms));
    let command = Command::Change { event: EVENT, caller, terms, sections };
    when(&[drafted(super::terms()), published(OWNER)], 1, &command)
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
    accepted(|terms| terms.tiers[0].stock = counted(1_000, None));
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
}

#[test]
fn what_becomes_of_the_venue_does_not_touch_seats_on_sale() {
    let rebuilt = |kind: SectionKind| vec![sections()[0].clone(), section("A", kind)];
    let with = |stock: Stock| move |terms: &mut Terms| terms.tiers[1].stock = stock;
    let kept = Ok(vec![changed(OWNER, terms())]);
    let rows = vec![row("1", 1)];
    let fewer = rebuilt(SectionKind::Seated { rows: rows.clone() });
    assert_eq!(change_with(fewer, with(seated(&rows))), kept);
    let standing = rebuilt(SectionKind::Standing { capacity: 500 });
    assert_eq!(change_with(standing, with(counted(500, Some("A")))), kept);
    let gone = vec![sections()[0].clone()];
    assert_eq!(change_with(gone, |_| {}), kept);
    // A draft follows the venue instead.
    let fewer = rebuilt(SectionKind::Seated { rows });
    let caller = owner();
    let command =
        Command::Change { event: EVENT, caller, terms: Box::new(terms()), sections: fewer };
    let draft = [drafted(terms())];
    assert_eq!(invalid(when(&draft, 1, &command)).as_deref(), Some("tiers[1].section"));
}
