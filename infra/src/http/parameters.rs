//! What the queries of routes may name. One table for all routes, so that none forgets to refuse what it
//! does not know: who asks for the seats "as of" a time must not be shown those of now.

use std::collections::HashMap;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::problem::Problem;
use super::words;

/// The query parameters of routes. Of a route that is not in it nothing is refused.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    by_route: HashMap<String, Known>,
}

impl Parameters {
    /// The same, knowing that the query at `path`, as the router names it, may name these and no others.
    pub fn with(
        mut self,
        method: &str,
        path: &str,
        names: impl IntoIterator<Item: Into<String>>,
    ) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.by_route.insert(route(method, path), Known(names));
        self
    }

    /// Those of one route, if they are known.
    pub(crate) fn of(&self, method: &str, path: &str) -> Option<Known> {
        self.by_route.get(&route(method, path)).cloned()
    }
}

fn route(method: &str, path: &str) -> String {
    format!("{} {path}", method.to_uppercase())
}

/// What the query of one route may name.
#[derive(Debug, Clone)]
pub(crate) struct Known(Arc<[String]>);

impl Known {
    /// Refuses a query that names something else.
    ///
    /// # Errors
    /// 400, as where a body has a field that is not known.
    pub(crate) fn check(&self, query: &str) -> Result<(), Problem> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let names = pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
        for name in names.map(|name| percent_decode_str(name).decode_utf8_lossy()) {
            if !self.0.iter().any(|known| *known == name) {
                return Err(self.refuse(name.into_owned()));
            }
        }
        Ok(())
    }

    fn refuse(&self, name: String) -> Problem {
        let known = self.0.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { known } else { format!("; known: {known}") };
        words::refuse(Some(name), &format!("{}{known}", words::UNKNOWN), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_what_is_known_and_nothing_else() {
        let table = Parameters::default()
            .with("get", "/events", ["city", "as_of"])
            .with("POST", "/events", [""; 0]);
        let (list, make) =
            (table.of("GET", "/events").unwrap(), table.of("POST", "/events").unwrap());
        assert!(table.of("PUT", "/events").is_none());
        for sound in ["", "&", "city=Rio", "city=a=b&as_of=1", "city", "a%73_of=1"] {
            assert!(list.check(sound).is_ok(), "{sound}");
        }
        for wrong in ["town=Rio", "city=Rio&town", "=1", "CITY=Rio", "%ff=1", "city+=1"] {
            let problem = list.check(wrong).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (400, "MALFORMED"), "{wrong}");
        }
        assert!(make.check("").is_ok() && make.check("city=Rio").is_err());
    }
}
