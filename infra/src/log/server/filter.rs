//! Which records a client wants, decided here rather than there.

use fancy_regex::{Regex, RegexBuilder};

use super::refusal::Refusal;
use crate::log::Record;
use crate::log::protocol::{Expression, FilterOn, FilterOption, FilterOptions, Window};

/// Records in a window when the client does not say, as in the original.
const WINDOW: u32 = 32;

/// Steps that an expression may take back in one record's name.
const BACKTRACK_LIMIT: usize = 20_000;

/// A test on the name of a record's stream or on its kind.
#[derive(Debug)]
pub(super) struct Filter {
    on_stream: bool,
    test: Test,
    /// Records looked at, after which a subscription tells how far it is.
    pub(super) checkpoint_interval: u64,
}

#[derive(Debug)]
enum Test {
    Prefixes(Vec<String>),
    Regex(Box<Regex>),
}

impl Filter {
    /// What the client asks for; nothing if it wants all.
    pub(super) fn new(asked: Option<FilterOption>) -> Result<Option<Self>, Refusal> {
        let Some(FilterOption::Filter(FilterOptions { checkpoint_interval, on, window })) = asked
        else {
            return Ok(None);
        };
        let (on_stream, expression) = match on {
            Some(FilterOn::Stream(expression)) => (true, expression),
            Some(FilterOn::Kind(expression)) => (false, expression),
            None => return Err(Refusal::invalid("the filter says nothing")),
        };
        let window = match window {
            Some(Window::Max(0)) => {
                return Err(Refusal::invalid("the filter's window is 0"));
            }
            Some(Window::Max(window)) => window,
            Some(Window::Count(())) | None => WINDOW,
        };
        let checkpoint_interval = u64::from(window) * u64::from(checkpoint_interval.max(1));
        Ok(Some(Self { on_stream, test: Test::new(expression)?, checkpoint_interval }))
    }

    /// Whether the client wants the record.
    pub(super) fn passes(&self, record: &Record) -> Result<bool, Refusal> {
        let name: &str = if self.on_stream { &record.stream } else { &record.kind };
        match &self.test {
            Test::Prefixes(prefixes) => Ok(prefixes.iter().any(|prefix| name.starts_with(prefix))),
            Test::Regex(regex) => regex
                .is_match(name)
                .map_err(|_| Refusal::invalid("the filter's expression takes too long")),
        }
    }
}

impl Test {
    fn new(Expression { regex, prefixes }: Expression) -> Result<Self, Refusal> {
        if !prefixes.is_empty() {
            return Ok(Self::Prefixes(prefixes));
        }
        let regex = RegexBuilder::new(&regex).backtrack_limit(BACKTRACK_LIMIT).build();
        let refuse = |error| Refusal::invalid(format!("the filter's expression is wrong: {error}"));
        Ok(Self::Regex(Box::new(regex.map_err(refuse)?)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use domain::Time;

    use super::*;
    use crate::log::{ChainHash, Position};

    fn record(stream: &str, kind: &str) -> Record {
        Record {
            position: Position(1),
            stream: Arc::from(stream),
            revision: 0,
            id: uuid::Uuid::nil(),
            kind: Arc::from(kind),
            version: 1,
            at: Time::from_ms(0),
            metadata: "".into(),
            data: Bytes::new(),
            hash: ChainHash::default(),
        }
    }

    fn filter(on: FilterOn, window: Option<Window>) -> Result<Option<Filter>, Refusal> {
        let options = FilterOptions { checkpoint_interval: 3, on: Some(on), window };
        Filter::new(Some(FilterOption::Filter(options)))
    }

    fn regex(text: &str) -> Expression {
        Expression { regex: text.to_owned(), prefixes: vec![] }
    }

    #[test]
    fn expressions_and_prefixes_look_at_stream_or_kind() {
        let prefixes = Expression {
            regex: String::new(),
            prefixes: vec!["inventory-".to_owned(), "event-".to_owned()],
        };
        // The last one is how a client in Python leaves out what is the system's.
        for (on, passing) in [
            (FilterOn::Stream(prefixes.clone()), [true, false, true]),
            (FilterOn::Kind(prefixes), [false, false, false]),
            (FilterOn::Kind(regex("^Reserved|served$")), [true, true, false]),
            (FilterOn::Stream(regex("")), [true, true, true]),
            (FilterOn::Kind(regex(r"^[^\$].*")), [true, true, false]),
            (FilterOn::Kind(regex(r"^(?!(\$.+$|PersistentConfig\d+$))")), [true, true, false]),
        ] {
            let filter = filter(on, None).unwrap().unwrap();
            let records = [
                record("inventory-1", "Reserved"),
                record("inventories", "Preserved"),
                record("event-1", "$metadata"),
            ];
            assert_eq!(
                records.map(|record| filter.passes(&record).unwrap()),
                passing,
                "{filter:?}"
            );
            assert_eq!(filter.checkpoint_interval, 96);
        }
    }

    #[test]
    fn what_cannot_be_tested_is_refused() {
        assert!(Filter::new(None).unwrap().is_none());
        assert!(Filter::new(Some(FilterOption::None(()))).unwrap().is_none());
        assert!(filter(FilterOn::Kind(regex("(")), None).is_err());
        assert!(filter(FilterOn::Kind(regex("a")), Some(Window::Max(0))).is_err());
        let evil = filter(FilterOn::Kind(regex("(a|b|ab)*(?>c)")), Some(Window::Max(1)));
        let evil = evil.unwrap().unwrap();
        assert!(evil.passes(&record("s", &"ab".repeat(40))).is_err());
    }
}
