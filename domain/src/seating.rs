//! How a venue is divided: sections, rows, seats (CT-1).
//!
//! A seat's name is `section-row-seat`, e.g. `A-12-7`; no label contains a dash.

use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::is_invisible;

/// The most seats one venue can have.
pub const MAX_SEATS: u32 = 500_000;
/// The most people a section without seats can hold.
pub const MAX_CAPACITY: u32 = 10_000_000;
const MAX_SECTIONS: usize = 1_000;
const MAX_ROW: u32 = 10_000;
const MAX_LABEL: usize = 40;

/// A part of a venue that is sold as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Section {
    /// Unique within the venue, without a dash.
    pub name: String,
    /// What people find there.
    #[serde(flatten)]
    pub kind: SectionKind,
}

/// What people find in a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SectionKind {
    /// Numbered seats in rows.
    Seated {
        /// From the front to the back.
        rows: Vec<Row>,
    },
    /// Room to stand for so many.
    Standing {
        /// People.
        capacity: u32,
    },
    /// A box that holds so many, sold by the place.
    Box {
        /// People.
        capacity: u32,
    },
}

/// A row of seats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Unique within the section, without a dash.
    pub label: String,
    /// The seats from one end to the other.
    pub seats: Seats,
    /// Which of them are accessible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accessible: Vec<String>,
}

/// The seats of a row: so many, named `1`, `2`, ..., or each by its label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Seats {
    /// Named `1` to this number.
    Count(u32),
    /// Named one by one.
    Labels(Vec<String>),
}

impl Seats {
    /// How many there are.
    pub fn len(&self) -> u32 {
        match self {
            Self::Count(count) => *count,
            Self::Labels(labels) => u32::try_from(labels.len()).unwrap_or(u32::MAX),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The label of the seat at `place`, counted from 0.
    pub fn label(&self, place: u32) -> String {
        match self {
            Self::Count(_) => (place + 1).to_string(),
            Self::Labels(labels) => labels.get(place as usize).cloned().unwrap_or_default(),
        }
    }

    /// The place of the seat with this label.
    pub fn place(&self, label: &str) -> Option<u32> {
        match self {
            Self::Count(count) => {
                let canonical = !label.starts_with(['0', '+']);
                let number: u32 = label.parse().ok()?;
                (canonical && (1..=*count).contains(&number)).then(|| number - 1)
            }
            Self::Labels(labels) => {
                labels.iter().position(|seat| seat == label).and_then(|at| u32::try_from(at).ok())
            }
        }
    }
}

impl Section {
    /// How many people it holds.
    pub fn capacity(&self) -> u32 {
        match &self.kind {
            SectionKind::Seated { rows } => count_seats(rows),
            SectionKind::Standing { capacity } | SectionKind::Box { capacity } => *capacity,
        }
    }
}

/// How many seats the rows have together.
pub fn count_seats(rows: &[Row]) -> u32 {
    rows.iter().fold(0, |sum: u32, row| sum.saturating_add(row.seats.len()))
}

/// A value that cannot be accepted, and where it stands in what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// Path of the field, e.g. `sections[2].rows[0].label`.
    pub field: String,
    /// What it must be instead; completes "must be ...": "a name that no other tier has".
    pub problem: String,
}

impl Invalid {
    /// Something wrong with `field`.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// Refuses unless `sound`.
    pub fn unless(sound: bool, field: impl FnOnce() -> String, problem: &str) -> Result<(), Self> {
        if sound { Ok(()) } else { Err(Self::new(field(), problem)) }
    }

    /// Refuses a number out of `bounds`; `what` says what numbers are meant: "a whole number".
    pub(crate) fn unless_within<T: PartialOrd + fmt::Display>(
        bounds: RangeInclusive<T>,
        number: &T,
        field: impl FnOnce() -> String,
        what: &str,
    ) -> Result<(), Self> {
        if bounds.contains(number) {
            return Ok(());
        }
        Err(Self::new(field(), format!("{what} from {} to {}", bounds.start(), bounds.end())))
    }

    /// Refuses more than `most` of `what`.
    pub(crate) fn unless_few(
        most: usize,
        count: usize,
        field: impl FnOnce() -> String,
        what: &str,
    ) -> Result<(), Self> {
        if count <= most {
            Ok(())
        } else {
            Err(Self::new(field(), format!("at most {most} {what}")))
        }
    }
}

/// Of which numbers there are bounds.
pub(crate) const NUMBER: &str = "a whole number";

fn check_label(label: &str, field: impl FnOnce() -> String) -> Result<(), Invalid> {
    let printable = !label.is_empty()
        && label.len() <= MAX_LABEL
        && !label.chars().any(|c| c == '-' || is_invisible(c) && c != ' ')
        && label.trim() == label;
    if printable {
        return Ok(());
    }
    let problem = format!(
        "a label of 1 to {MAX_LABEL} bytes without a dash or line break, e.g. \"A\" or \"12\""
    );
    Err(Invalid::new(field(), problem))
}

fn check_row(row: &Row, at: &str) -> Result<(), Invalid> {
    check_label(&row.label, || format!("{at}.label"))?;
    if !(1..=MAX_ROW).contains(&row.seats.len()) {
        return Err(Invalid::new(format!("{at}.seats"), format!("1 to {MAX_ROW} seats")));
    }
    if let Seats::Labels(labels) = &row.seats {
        let mut seen = HashSet::new();
        for (index, label) in labels.iter().enumerate() {
            check_label(label, || format!("{at}.seats[{index}]"))?;
            let new = seen.insert(label);
            Invalid::unless(
                new,
                || format!("{at}.seats[{index}]"),
                "a label that no other seat of the row has",
            )?;
        }
    }
    for (index, label) in row.accessible.iter().enumerate() {
        let known = row.seats.place(label).is_some();
        Invalid::unless(
            known,
            || format!("{at}.accessible[{index}]"),
            "the label of a seat of the row",
        )?;
    }
    Ok(())
}

/// Checks that names are unique and sizes sane.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_sections(sections: &[Section]) -> Result<(), Invalid> {
    Invalid::unless_few(MAX_SECTIONS, sections.len(), || "sections".into(), "sections")?;
    let mut names = HashSet::new();
    let mut seats: u32 = 0;
    for (index, section) in sections.iter().enumerate() {
        let at = format!("sections[{index}]");
        check_label(&section.name, || format!("{at}.name"))?;
        let new = names.insert(&section.name);
        Invalid::unless(new, || format!("{at}.name"), "a name that no other section has")?;
        match &section.kind {
            SectionKind::Seated { rows } => {
                Invalid::unless(
                    !rows.is_empty(),
                    || format!("{at}.rows"),
                    "a list of at least one row",
                )?;
                let mut labels = HashSet::new();
                for (number, row) in rows.iter().enumerate() {
                    let at = format!("{at}.rows[{number}]");
                    check_row(row, &at)?;
                    let new = labels.insert(&row.label);
                    let problem = "a label that no other row of the section has";
                    Invalid::unless(new, || format!("{at}.label"), problem)?;
                }
                seats = seats.saturating_add(count_seats(rows));
                let what = "seats together with the sections before";
                let (most, count) = (MAX_SEATS as usize, seats as usize);
                Invalid::unless_few(most, count, || format!("{at}.rows"), what)?;
            }
            SectionKind::Standing { capacity } | SectionKind::Box { capacity } => {
                let field = || format!("{at}.capacity");
                Invalid::unless_within(1..=MAX_CAPACITY, capacity, field, NUMBER)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
impl Invalid {
    /// Whether the problem completes "must be ...", and is no statement of what is wrong.
    pub(crate) fn reads_after_must_be(&self) -> bool {
        let phrases = [
            "a ",
            "an ",
            "the ",
            "at most ",
            "1 to ",
            "tiers of ",
            "nearer ",
            "minor units ",
            "degrees ",
            "priced in ",
            "complete: ",
            "smaller: ",
        ];
        let stated = [" has this ", " is named ", " needs ", " has other ", " has no ", " has at "];
        phrases.iter().any(|phrase| self.problem.starts_with(phrase))
            && !stated.iter().any(|stated| self.problem.contains(stated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seated(name: &str, rows: Vec<Row>) -> Section {
        Section { name: name.into(), kind: SectionKind::Seated { rows } }
    }

    fn row(label: &str, seats: Seats) -> Row {
        Row { label: label.into(), seats, accessible: vec![] }
    }

    #[test]
    fn a_counted_row_names_its_seats_from_one() {
        let seats = Seats::Count(30);
        assert_eq!(seats.place("30"), Some(29));
        assert_eq!(seats.label(29), "30");
        for foreign in ["0", "31", "07", "+7", "x", ""] {
            assert_eq!(seats.place(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let wrong = |sections: &[Section]| {
            let invalid = check_sections(sections).unwrap_err();
            assert!(invalid.reads_after_must_be(), "must be {}", invalid.problem);
            invalid.field
        };
        let good = row("1", Seats::Count(3));
        assert_eq!(check_sections(&[seated("A", vec![good.clone()])]), Ok(()));
        assert_eq!(wrong(&[seated("A-B", vec![good.clone()])]), "sections[0].name");
        assert_eq!(wrong(&[seated("A", vec![])]), "sections[0].rows");
        assert_eq!(
            wrong(&[seated("A", vec![good.clone(), good.clone()])]),
            "sections[0].rows[1].label"
        );
        let twice = row("2", Seats::Labels(vec!["x".into(), "x".into()]));
        assert_eq!(wrong(&[seated("A", vec![good, twice])]), "sections[0].rows[1].seats[1]");
        let none = Section { name: "S".into(), kind: SectionKind::Standing { capacity: 0 } };
        assert_eq!(wrong(&[none]), "sections[0].capacity");
        let far = Row { accessible: vec!["9".into()], ..row("1", Seats::Count(3)) };
        assert_eq!(wrong(&[seated("A", vec![far])]), "sections[0].rows[0].accessible[0]");
    }
}
