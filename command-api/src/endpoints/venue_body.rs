//! A venue as the API shows it, in and out.

use domain::seating::{Row, Seats, Section, SectionKind};
use domain::venue::{Fact, Profile};
use domain::{Request, UserId, VenueId};
use infra::http::Problem;
use infra::log::Position;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::in_bounds;
use crate::state::{Asked, CommandState};

/// What is known of a venue.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VenueBody {
    name: String,
    address: String,
    city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// Code of ISO 3166-1 alpha-2.
    #[schema(pattern = "^[A-Z]{2}$", example = "DE")]
    country: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    postal_code: Option<String>,
    /// Degrees north.
    #[serde(skip_serializing_if = "Option::is_none")]
    latitude: Option<f64>,
    /// Degrees east.
    #[serde(skip_serializing_if = "Option::is_none")]
    longitude: Option<f64>,
    #[serde(default)]
    sections: Vec<SectionBody>,
}

/// A part of a venue that is sold as one.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SectionBody {
    name: String,
    kind: KindBody,
    /// People; not with rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<i64>,
    /// Of a seated section.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<RowBody>>,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindBody {
    Seated,
    Standing,
    Box,
}

/// A row of seats.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowBody {
    label: String,
    seats: SeatsBody,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    accessible: Vec<String>,
}

/// So many seats named 1, 2, ..., or each by its label.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "expected a number, or a list of labels")]
pub(crate) enum SeatsBody {
    Count(i64),
    Labels(Vec<String>),
}

/// A venue with its id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VenueAnswer {
    #[schema(value_type = String)]
    venue_id: VenueId,
    #[serde(flatten)]
    venue: VenueBody,
    /// Where in the log the command is.
    position: u64,
}

impl VenueBody {
    pub(super) fn profile(&self) -> Result<Profile, Problem> {
        let each = self.sections.iter().enumerate();
        let sections = each.map(|(at, section)| section.read(&format!("sections[{at}]")));
        Ok(Profile {
            name: self.name.clone(),
            address: self.address.clone(),
            city: self.city.clone(),
            state: self.state.clone(),
            country: self.country.clone(),
            postal_code: self.postal_code.clone(),
            latitude: self.latitude,
            longitude: self.longitude,
            sections: sections.collect::<Result<_, _>>()?,
        })
    }

    fn of(profile: &Profile) -> Self {
        Self {
            name: profile.name.clone(),
            address: profile.address.clone(),
            city: profile.city.clone(),
            state: profile.state.clone(),
            country: profile.country.clone(),
            postal_code: profile.postal_code.clone(),
            latitude: profile.latitude,
            longitude: profile.longitude,
            sections: profile.sections.iter().map(SectionBody::of).collect(),
        }
    }
}

impl SectionBody {
    fn read(&self, at: &str) -> Result<Section, Problem> {
        let capacity = || match self.capacity {
            Some(capacity) => Ok(in_bounds(capacity)),
            None => Err(Problem::invalid(&format!("{at}.capacity"), "must be given")),
        };
        let kind = match (self.kind, &self.rows) {
            (KindBody::Seated, Some(rows)) => {
                SectionKind::Seated { rows: rows.iter().map(RowBody::read).collect() }
            }
            (KindBody::Seated, None) => {
                return Err(Problem::invalid(&format!("{at}.rows"), "must be given for seats"));
            }
            (_, Some(_)) => {
                return Err(Problem::invalid(&format!("{at}.rows"), "only fit a seated section"));
            }
            (KindBody::Standing, None) => SectionKind::Standing { capacity: capacity()? },
            (KindBody::Box, None) => SectionKind::Box { capacity: capacity()? },
        };
        let section = Section { name: self.name.clone(), kind };
        match self.capacity {
            Some(said) if self.rows.is_some() && i64::from(section.capacity()) != said => {
                let problem = format!("must be absent or {}, as the rows say", section.capacity());
                Err(Problem::invalid(&format!("{at}.capacity"), &problem))
            }
            _ => Ok(section),
        }
    }

    fn of(section: &Section) -> Self {
        let (kind, rows) = match &section.kind {
            SectionKind::Seated { rows } => {
                (KindBody::Seated, Some(rows.iter().map(RowBody::of).collect()))
            }
            SectionKind::Standing { .. } => (KindBody::Standing, None),
            SectionKind::Box { .. } => (KindBody::Box, None),
        };
        let capacity = Some(i64::from(section.capacity()));
        Self { name: section.name.clone(), kind, capacity, rows }
    }
}

impl RowBody {
    fn read(&self) -> Row {
        let seats = match &self.seats {
            SeatsBody::Count(count) => Seats::Count(in_bounds(*count)),
            SeatsBody::Labels(labels) => Seats::Labels(labels.clone()),
        };
        Row { label: self.label.clone(), seats, accessible: self.accessible.clone() }
    }

    fn of(row: &Row) -> Self {
        let seats = match &row.seats {
            Seats::Count(count) => SeatsBody::Count(i64::from(*count)),
            Seats::Labels(labels) => SeatsBody::Labels(labels.clone()),
        };
        Self { label: row.label.clone(), seats, accessible: row.accessible.clone() }
    }
}

/// Who asked for a fact of a venue, and under which key.
fn asked_by(fact: &Fact) -> (UserId, Option<&Request>) {
    match fact {
        Fact::VenueCreated(fact) => (fact.owner, fact.request.as_ref()),
        Fact::VenueChanged(fact) => (fact.by, fact.request.as_ref()),
    }
}

impl CommandState {
    /// Executes a command on a venue and answers with the venue as the command left it.
    pub(super) async fn venue(
        &self,
        venue_id: VenueId,
        command: domain::venue::Command,
        asked: Asked,
    ) -> Result<(Position, VenueAnswer), Problem> {
        let (user, request) = (asked.user(), asked.request.clone());
        let (state, position) = self
            .handle::<domain::venue::Venue>(venue_id, command, asked.origin, |fact| {
                let (by, before) = asked_by(fact);
                let both = request.as_ref().zip(before);
                by == user && both.is_some_and(|(request, before)| request.repeats(user, before))
            })
            .await
            .map_err(crate::refusal::venue)?;
        let venue = VenueBody::of(&state.profile);
        Ok((position, VenueAnswer { venue_id, venue, position: position.0 }))
    }
}
