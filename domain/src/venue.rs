//! A venue: where events take place (CT-1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::facts;
use crate::seating::{Invalid, Section, check_sections};
use crate::text::check_text;
use crate::{Aggregate, Request, Time, UserId, VenueId};

// Facts

/// What is known of a venue.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// As people call it.
    pub name: String,
    /// Street and number.
    pub address: String,
    /// City.
    pub city: String,
    /// State or region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Country.
    pub country: String,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// Degrees north, -90 to 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees east, -180 to 180.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// The parts that are sold as one.
    pub sections: Vec<Section>,
}

/// A venue was added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VenueCreated {
    /// The new venue.
    pub venue: VenueId,
    /// Who added it and may change it.
    pub owner: UserId,
    /// What is known of it.
    pub profile: Profile,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// A venue's description or division was changed. Events already set up keep their seats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VenueChanged {
    /// Which one.
    pub venue: VenueId,
    /// Who changed it.
    pub by: UserId,
    /// What is known of it now.
    pub profile: Profile,
    /// The command's key, if the client gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

facts! {
    /// What can have happened to a venue.
    Fact { VenueCreated = 1, VenueChanged = 1 }
}

// State and evolve

/// A venue as its facts tell it.
#[derive(Debug, Clone, Default)]
pub struct Venue {
    /// Who added it; `None` as long as it does not exist.
    pub owner: Option<UserId>,
    /// What is known of it.
    pub profile: Profile,
    requests: Vec<(UserId, Request)>,
}

// Commands and decide

/// What can be asked of a venue.
#[derive(Debug, Clone)]
pub enum Command {
    /// Add it.
    Create {
        /// The id it gets.
        venue: VenueId,
        /// Who asks.
        by: UserId,
        /// What is known of it.
        profile: Profile,
        /// The command's key.
        request: Option<Request>,
    },
    /// Replace what is known of it.
    Change {
        /// Which one.
        venue: VenueId,
        /// Who asks.
        by: UserId,
        /// May change the venues of others.
        as_admin: bool,
        /// What is known of it from now on.
        profile: Profile,
        /// The command's key.
        request: Option<Request>,
    },
}

/// Why a venue says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such venue.
    NotFound,
    /// It exists already: the id was used before.
    Exists,
    /// Another organizer added it.
    NotYours,
    /// The key was used for something else (BK-6).
    KeyReused,
    /// A value cannot be accepted.
    Invalid(Invalid),
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl Aggregate for Venue {
    const CATEGORY: &'static str = "venue";
    type Id = VenueId;
    type Fact = Fact;
    type Command = Command;
    type Refusal = Refusal;

    fn evolve(&mut self, _at: Time, fact: &Fact) {
        let (by, profile, request) = match fact {
            Fact::VenueCreated(fact) => {
                self.owner = Some(fact.owner);
                (fact.owner, &fact.profile, &fact.request)
            }
            Fact::VenueChanged(fact) => (fact.by, &fact.profile, &fact.request),
        };
        self.profile = profile.clone();
        self.requests.extend(request.clone().map(|request| (by, request)));
    }

    fn decide(&self, command: &Command, _now: Time) -> Result<Vec<Fact>, Refusal> {
        match command {
            Command::Create { venue, by, profile, request } => {
                if repeated(&self.requests, *by, request.as_ref())? {
                    return Ok(vec![]);
                }
                if self.owner.is_some() {
                    return Err(Refusal::Exists);
                }
                check(profile)?;
                let (venue, owner) = (*venue, *by);
                let (profile, request) = (profile.clone(), request.clone());
                Ok(vec![VenueCreated { venue, owner, profile, request }.into()])
            }
            Command::Change { venue, by, as_admin, profile, request } => {
                if repeated(&self.requests, *by, request.as_ref())? {
                    return Ok(vec![]);
                }
                let owner = self.owner.ok_or(Refusal::NotFound)?;
                if owner != *by && !as_admin {
                    return Err(Refusal::NotYours);
                }
                check(profile)?;
                let (venue, by) = (*venue, *by);
                let (profile, request) = (profile.clone(), request.clone());
                Ok(vec![VenueChanged { venue, by, profile, request }.into()])
            }
        }
    }
}

/// Whether `request` was carried out before.
fn repeated(
    requests: &[(UserId, Request)],
    by: UserId,
    request: Option<&Request>,
) -> Result<bool, Refusal> {
    match crate::request::find(requests, by, request) {
        None => Ok(false),
        Some(true) => Ok(true),
        Some(false) => Err(Refusal::KeyReused),
    }
}

fn check(profile: &Profile) -> Result<(), Invalid> {
    for (field, text, most) in [
        ("name", &profile.name, 200),
        ("address", &profile.address, 500),
        ("city", &profile.city, 100),
    ] {
        check_text(field, text, most)?;
    }
    let is_code = matches!(profile.country.as_bytes(), [b'A'..=b'Z', b'A'..=b'Z']);
    let problem = "a country code of ISO 3166-1 in capitals, like DE";
    Invalid::unless(is_code, || "country".to_owned(), problem)?;
    for (field, text, most) in
        [("state", &profile.state, 100), ("postal_code", &profile.postal_code, 20)]
    {
        text.as_ref().map_or(Ok(()), |text| check_text(field, text, most))?;
    }
    for (field, degrees, most) in
        [("latitude", profile.latitude, 90.0), ("longitude", profile.longitude, 180.0)]
    {
        let sane = degrees.is_none_or(|degrees: f64| degrees.abs() <= most);
        let problem = format!("degrees from -{most} to {most}");
        Invalid::unless(sane, || field.to_owned(), &problem)?;
    }
    check_sections(&profile.sections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seating::SectionKind;

    const OWNER: UserId = UserId::from_u128(1);
    const OTHER: UserId = UserId::from_u128(2);
    const VENUE: VenueId = VenueId::from_u128(9);

    fn profile() -> Profile {
        let text = |text: &str| text.to_owned();
        let (name, address, city) = (text("Hall"), text("1 Main St"), text("Berlin"));
        Profile { name, address, city, country: text("DE"), ..Profile::default() }
    }

    fn standing(name: &str, capacity: u32) -> Section {
        Section { name: name.into(), kind: SectionKind::Standing { capacity } }
    }

    fn created(request: Option<Request>) -> Fact {
        VenueCreated { venue: VENUE, owner: OWNER, profile: profile(), request }.into()
    }

    fn create(request: Option<Request>) -> Command {
        Command::Create { venue: VENUE, by: OWNER, profile: profile(), request }
    }

    fn change(by: UserId, as_admin: bool, name: &str) -> Command {
        let profile = Profile { name: name.into(), ..profile() };
        Command::Change { venue: VENUE, by, as_admin, profile, request: None }
    }

    fn given(facts: &[Fact], command: &Command) -> Result<Vec<Fact>, Refusal> {
        let mut venue = Venue::default();
        facts.iter().for_each(|fact| venue.evolve(Time::default(), fact));
        venue.decide(command, Time::default())
    }

    #[test]
    fn a_venue_is_created_once() {
        let request = Request::new("k", b"body").ok();
        let facts = [created(request.clone())];
        assert_eq!(given(&[], &create(request.clone())), Ok(facts.to_vec()));
        assert_eq!(given(&facts, &create(request)), Ok(vec![]));
        assert_eq!(given(&facts, &create(None)), Err(Refusal::Exists));
        let other = Request::new("k", b"other").ok();
        assert_eq!(given(&facts, &create(other)), Err(Refusal::KeyReused));
    }

    #[test]
    fn only_its_owner_or_an_admin_changes_it() {
        let facts = [created(None)];
        assert_eq!(given(&[], &change(OWNER, false, "x")), Err(Refusal::NotFound));
        assert_eq!(given(&facts, &change(OTHER, false, "x")), Err(Refusal::NotYours));
        assert!(given(&facts, &change(OWNER, false, "x")).is_ok());
        assert!(given(&facts, &change(OTHER, true, "x")).is_ok());
        let refused = given(&facts, &change(OWNER, false, " "));
        assert!(matches!(refused, Err(Refusal::Invalid(Invalid { field, .. })) if field == "name"));
    }

    #[test]
    fn every_field_is_checked() {
        type Wrong = fn(&mut Profile);
        let long = |length| "x".repeat(length);
        let wrong: [(&str, Wrong); 22] = [
            ("name", |it| it.name = " ".into()),
            ("name", |it| it.name = "x".repeat(201)),
            ("address", |it| it.address = String::new()),
            ("city", |it| it.city = "a\u{0}".into()),
            ("name", |it| it.name = "Hall\nof Fame".into()),
            ("address", |it| it.address = "1 Main St\tBerlin".into()),
            ("city", |it| it.city = "Ber\rlin".into()),
            ("city", |it| it.city = "Ber\u{2028}lin".into()),
            ("city", |it| it.city = "x".repeat(101)),
            ("name", |it| it.name = "\u{202e}".into()),
            ("name", |it| it.name = "Hall \u{202e}emaF fo".into()),
            ("name", |it| it.name = "\u{200b}\u{feff} \u{2060}".into()),
            ("country", |it| it.country = "Germany".into()),
            ("country", |it| it.country = "de".into()),
            ("state", |it| it.state = Some(String::new())),
            ("postal_code", |it| it.postal_code = Some("x".repeat(21))),
            ("latitude", |it| it.latitude = Some(90.1)),
            ("latitude", |it| it.latitude = Some(f64::NAN)),
            ("longitude", |it| it.longitude = Some(-180.1)),
            ("longitude", |it| it.longitude = Some(f64::INFINITY)),
            ("sections[0].name", |it| it.sections = vec![standing("A-1", 5)]),
            ("sections[1].name", |it| it.sections = vec![standing("A", 5), standing("A", 5)]),
        ];
        for (field, change) in wrong {
            let mut profile = profile();
            change(&mut profile);
            let command = Command::Create { venue: VENUE, by: OWNER, profile, request: None };
            let refused = given(&[], &command).unwrap_err();
            assert!(matches!(&refused, Refusal::Invalid(it) if it.field == field), "{refused:?}");
            let reads = |it: &Invalid| it.reads_after_must_be();
            assert!(matches!(&refused, Refusal::Invalid(it) if reads(it)), "{refused:?}");
        }
        let most = Profile {
            // What is right within a text: between letters of Persian, and after those of Hebrew.
            name: long(200 - 6) + "\u{200c}\u{200e}",
            state: Some(long(100)),
            postal_code: Some(long(20)),
            latitude: Some(-90.0),
            longitude: Some(180.0),
            sections: vec![standing("A", 5)],
            ..profile()
        };
        let (venue, owner, request) = (VENUE, OWNER, None);
        let command = Command::Create { venue, by: owner, profile: most.clone(), request: None };
        let fact = VenueCreated { venue, owner, profile: most, request };
        assert_eq!(given(&[], &command), Ok(vec![fact.into()]));
    }

    #[test]
    fn a_change_replaces_what_is_known_once() {
        let request = |body: &[u8]| Request::new("k", body).ok();
        let Command::Change { venue, by, as_admin, profile, .. } = change(OWNER, false, "x") else {
            unreachable!()
        };
        let keyed = |body| {
            let (profile, request) = (profile.clone(), request(body));
            Command::Change { venue, by, as_admin, profile, request }
        };
        let fact = VenueChanged { venue, by, profile: profile.clone(), request: request(b"1") };
        let facts = [created(None), fact.clone().into()];
        assert_eq!(given(&facts[..1], &keyed(b"1")), Ok(vec![fact.into()]));
        assert_eq!(given(&facts, &keyed(b"1")), Ok(vec![]));
        assert_eq!(given(&facts, &keyed(b"2")), Err(Refusal::KeyReused));
        let mut state = Venue::default();
        facts.iter().for_each(|fact| state.evolve(Time::default(), fact));
        assert_eq!((state.owner, state.profile.name.as_str()), (Some(OWNER), "x"));
    }
}
