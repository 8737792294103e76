//! Drafted, changed, published, cancelled; by whom and how often.

use super::*;

fn facts() -> Vec<(&'static str, Vec<Fact>)> {
    let (draft, public) = (drafted(terms()), published(OWNER));
    vec![
        ("nothing", vec![]),
        ("draft", vec![draft.clone()]),
        ("published", vec![draft.clone(), public.clone()]),
        ("cancelled", vec![draft.clone(), public, cancelled(OWNER)]),
        ("cancelled draft", vec![draft, cancelled(OWNER)]),
    ]
}

#[test]
fn an_event_goes_its_way_and_not_back() {
    use Refusal::{AlreadyCancelled, AlreadyPublished, Exists, NotFound};
    let mut dearer = terms();
    dearer.tiers[0].price_minor = 9_900;
    let expected: [[Result<Fact, Refusal>; 4]; 5] = [
        [Ok(drafted(terms())), Err(NotFound), Err(NotFound), Err(NotFound)],
        [
            Err(Exists),
            Ok(changed(OWNER, dearer.clone())),
            Ok(published(OWNER)),
            Ok(cancelled(OWNER)),
        ],
        [
            Err(Exists),
            Ok(changed(OWNER, dearer.clone())),
            Err(AlreadyPublished),
            Ok(cancelled(OWNER)),
        ],
        [Err(Exists), Err(AlreadyCancelled), Err(AlreadyCancelled), Err(AlreadyCancelled)],
        [Err(Exists), Err(AlreadyCancelled), Err(AlreadyCancelled), Err(AlreadyCancelled)],
    ];
    for ((name, facts), expected) in facts().iter().zip(expected) {
        let commands = [
            draft(owner(), terms()),
            change(owner(), dearer.clone()),
            publish(owner()),
            cancel(owner()),
        ];
        for (command, expected) in commands.iter().zip(expected) {
            let expected = expected.map(|fact| vec![fact]);
            assert_eq!(when(facts, 0, command), expected, "{name}: {command:?}");
        }
    }
}

#[test]
fn only_its_organizer_or_an_admin_touches_it() {
    let stranger = || Caller { user: OTHER, ..owner() };
    let admin = || Caller { as_admin: true, ..stranger() };
    let facts = [drafted(terms())];
    type Ask = fn(Caller) -> Command;
    let asks: [(Ask, Fact); 3] = [
        (|caller| change(caller, terms()), changed(OTHER, terms())),
        (publish, published(OTHER)),
        (cancel, cancelled(OTHER)),
    ];
    let known = [facts.to_vec(), vec![published(OWNER)]].concat();
    let was_known = [known.clone(), vec![cancelled(OWNER)]].concat();
    for (ask, fact) in asks {
        // Nobody learns that there is a draft.
        assert_eq!(when(&facts, 0, &ask(stranger())), Err(Refusal::NotFound));
        assert_eq!(when(&known, 0, &ask(stranger())), Err(Refusal::NotYours));
        assert_eq!(when(&was_known, 0, &ask(stranger())), Err(Refusal::NotYours));
        assert_eq!(when(&facts, 0, &ask(admin())), Ok(vec![fact]));
    }
}

#[test]
fn what_began_is_not_changed_and_what_is_over_not_cancelled() {
    let public = [drafted(terms()), published(OWNER)];
    let mut later = terms();
    (later.starts_at, later.ends_at) = (day(20), day(21));
    assert!(when(&public, 9, &change(owner(), later.clone())).is_ok());
    assert_eq!(when(&public, 10, &change(owner(), later.clone())), Err(Refusal::Started));
    assert_eq!(when(&public[..1], 10, &publish(owner())), Err(Refusal::Started));
    assert!(when(&public[..1], 10, &change(owner(), later)).is_ok());
    assert!(when(&public, 10, &cancel(owner())).is_ok());
    assert_eq!(when(&public, 11, &cancel(owner())), Err(Refusal::Started));
    assert!(when(&public[..1], 11, &cancel(owner())).is_ok());
}

#[test]
fn what_the_venue_has_no_more_is_not_published() {
    let (caller, draft) = (owner(), [drafted(terms())]);
    let publish_in = |sections: Vec<Section>| {
        let command = Command::Publish { event: EVENT, caller: caller.clone(), sections };
        match when(&draft, 1, &command) {
            Err(Refusal::VenueChanged(invalid)) => Some(invalid.field),
            decided => {
                assert_eq!(decided, Ok(vec![published(OWNER)]));
                None
            }
        }
    };
    assert_eq!(publish_in(sections()), None);
    let [pit, _, stalls] = &sections()[..] else { unreachable!() };
    let standing = |capacity| section("pit", SectionKind::Standing { capacity });
    let seats = |count| section("A", SectionKind::Seated { rows: vec![row("1", count)] });
    for (venue, field) in [
        (vec![pit.clone(), seats(3)], "tiers[1].section"),
        (vec![pit.clone(), seats(6)], "tiers[1].section"),
        (vec![pit.clone()], "tiers[1].section"),
        (vec![standing(49), stalls.clone()], "tiers"),
        (vec![stalls.clone()], "tiers[0].section"),
    ] {
        assert_eq!(publish_in(venue).as_deref(), Some(field));
    }
    assert_eq!(publish_in(vec![standing(50), stalls.clone()]), None);
    // What is public or called off is that first.
    let nowhere = |facts: &[Fact]| {
        let command = Command::Publish { event: EVENT, caller: owner(), sections: vec![] };
        when(facts, 1, &command)
    };
    let public = [drafted(terms()), published(OWNER), cancelled(OWNER)];
    assert_eq!(nowhere(&public[..2]), Err(Refusal::AlreadyPublished));
    assert_eq!(nowhere(&public), Err(Refusal::AlreadyCancelled));
}

#[test]
fn the_same_key_brings_about_nothing_more() {
    let keyed =
        |body: &str| Caller { request: Request::new("key", body.as_bytes()).ok(), ..owner() };
    type Ask = fn(Caller) -> Command;
    let asks: [(usize, Ask); 4] = [
        (0, |caller| draft(caller, terms())),
        (1, |caller| change(caller, terms())),
        (1, publish),
        (1, cancel),
    ];
    let draft = drafted(terms());
    for (given, ask) in asks {
        let mut facts = vec![draft.clone(); given];
        let new = when(&facts, 0, &ask(keyed("body"))).unwrap();
        assert_eq!(new.len(), 1);
        facts.extend(new);
        assert_eq!(when(&facts, 30, &ask(keyed("body"))), Ok(vec![]));
        assert_eq!(when(&facts, 30, &ask(keyed("other"))), Err(Refusal::KeyReused));
        let somebody = Caller { user: OTHER, ..keyed("other") };
        assert_ne!(when(&facts, 0, &ask(somebody)), Err(Refusal::KeyReused));
    }
}

#[test]
fn only_what_is_public_is_sold() {
    let selling: Vec<bool> =
        facts().iter().map(|(_, facts)| after(facts).plan().is_some()).collect();
    assert_eq!(selling, [false, false, true, false, false]);
    let (_, facts) = &facts()[2];
    let (event, terms) = (after(facts), terms());
    assert_eq!(event.version, 2);
    let plan = event.plan().unwrap();
    assert_eq!((plan.starts_at, plan.ends_at), (terms.starts_at, terms.ends_at));
    assert_eq!((plan.tiers, plan.refund_policy), (terms.tiers, terms.refund_policy));
}
