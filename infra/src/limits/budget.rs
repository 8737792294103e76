//! What is counted together, and how much of it there is.

use std::fmt;
use std::str::FromStr;

use super::counters::MOST_PER_MINUTE;

/// What a request is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Not counted.
    Free,
    /// Browsing, searching, and all that is no other.
    General,
    /// Booking commands.
    Booking,
    /// Whatever a password or a mail could be had with.
    Authentication,
    /// What has the whole log read for one person.
    Export,
}

/// How much there is for each, in a minute unless it says otherwise, and what one may hold without buying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Of [`Budget::General`].
    pub general: u32,
    /// Of [`Budget::Booking`].
    pub booking: u32,
    /// Of [`Budget::Authentication`], for an address.
    pub authentication: u32,
    /// Log-ins to one account, from wherever: far more than one address has, as who makes them need
    /// not be its owner.
    pub account: u32,
    /// Mails of one kind to one address in an hour, whoever has them written.
    pub mails: u32,
    /// Of [`Budget::Export`].
    pub export: u32,
    /// Live holds of one person and event.
    pub holds: u32,
    /// Holds of one person and event that lapsed within a day.
    pub lapsed: u32,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            general: 100,
            booking: 10,
            authentication: 5,
            account: 60,
            mails: 5,
            export: 5,
            holds: 5,
            lapsed: 20,
        }
    }
}

/// The text says no rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected off, on, or numbers from 1 to 60000 like \
     general=100,booking=10,authentication=5,account=60,mails=5,export=5,holds=5,lapsed=20"
)]
pub struct RatesError;

impl Rates {
    /// `None` for `off`.
    ///
    /// # Errors
    /// See [`RatesError`].
    pub fn parse(text: &str) -> Result<Option<Self>, RatesError> {
        match text {
            "off" => Ok(None),
            "on" => Ok(Some(Self::default())),
            text => text.parse().map(Some),
        }
    }
}

impl FromStr for Rates {
    type Err = RatesError;

    /// What is not named keeps its default.
    fn from_str(text: &str) -> Result<Self, RatesError> {
        let mut rates = Self::default();
        for part in text.split(',') {
            let (name, number) = part.split_once('=').ok_or(RatesError)?;
            let number: u32 = number.trim().parse().map_err(|_| RatesError)?;
            if !(1..=MOST_PER_MINUTE).contains(&number) {
                return Err(RatesError);
            }
            match name.trim() {
                "general" => rates.general = number,
                "booking" => rates.booking = number,
                "authentication" => rates.authentication = number,
                "account" => rates.account = number,
                "mails" => rates.mails = number,
                "export" => rates.export = number,
                "holds" => rates.holds = number,
                "lapsed" => rates.lapsed = number,
                _ => return Err(RatesError),
            }
        }
        Ok(rates)
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { general, booking, authentication, account, mails, export, holds, lapsed } = self;
        write!(f, "general={general},booking={booking},authentication={authentication}")?;
        write!(f, ",account={account},mails={mails}")?;
        write!(f, ",export={export},holds={holds},lapsed={lapsed}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_written_by_name() {
        assert_eq!(Rates::parse("off"), Ok(None));
        assert_eq!(Rates::parse("on"), Ok(Some(Rates::default())));
        let some = Rates { booking: 20, ..Rates::default() };
        assert_eq!(Rates::parse("booking=20"), Ok(Some(some)));
        assert_eq!(Rates::parse(&some.to_string()), Ok(Some(some)));
        for wrong in ["", "10", "booking=0", "booking=x", "booking=1,", "search=5", "On"] {
            assert_eq!(Rates::parse(wrong), Err(RatesError), "{wrong}");
        }
    }
}
