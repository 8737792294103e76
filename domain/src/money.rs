//! Money is an integer of minor units (cents) beside a currency. Amounts are `i64` and never
//! negative; their names end in `_minor`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The highest price of one ticket, in minor units. With at most [`crate::event::MAX_LIMIT`]
/// tickets a booking, no total can overflow.
pub const MAX_PRICE_MINOR: i64 = 100_000_000_000;

/// The active codes of ISO 4217 in alphabetical order, without metals, funds and test codes.
const CODES: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP \
     BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP \
     GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES \
     KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU \
     MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON \
     RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND \
     TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW \
     ZWG";

/// How many letters and spaces a code takes.
const CODE: usize = 4;

/// A currency by its ISO 4217 code, e.g. `EUR`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

/// The text is not an active ISO 4217 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a currency code of ISO 4217 in capitals, like EUR")]
pub struct CurrencyError;

impl Currency {
    /// Euro; what tests and the demo use.
    pub const EUR: Self = Self(*b"EUR");

    /// Every active code, in alphabetical order.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        CODES.split_ascii_whitespace()
    }

    /// The three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| CurrencyError)?;
        let known = |at: usize| &CODES.as_bytes()[at * CODE..][..code.len()];
        let (mut low, mut high) = (0, CODES.len() / CODE + 1);
        while low < high {
            let middle = low.midpoint(high);
            match known(middle).cmp(&code) {
                Ordering::Equal => return Ok(Self(code)),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        Err(CurrencyError)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl schemars::JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[A-Z]{3}$"})
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize(deserializer, "a currency code of ISO 4217 in capitals, like EUR")
    }
}

/// `percent` of `amount_minor`, rounded down to a whole minor unit.
pub fn percent_of(amount_minor: i64, percent: u8) -> i64 {
    let share = i128::from(amount_minor) * i128::from(percent.min(100)) / 100;
    i64::try_from(share).unwrap_or(amount_minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_iso_4217_codes_are_currencies() {
        assert_eq!("EUR".parse(), Ok(Currency::EUR));
        for code in CODES.split(' ') {
            assert_eq!(code.parse::<Currency>().unwrap().code(), code);
        }
        for foreign in ["AAA", "ZZZ", "EUS", "eur", "EU", "EURO", "XXX", "A D", ""] {
            assert_eq!(foreign.parse::<Currency>(), Err(CurrencyError), "{foreign}");
        }
    }

    #[test]
    fn a_share_is_never_more_than_the_whole() {
        assert_eq!(percent_of(999, 50), 499);
        assert_eq!(percent_of(i64::MAX, 100), i64::MAX);
        assert_eq!(percent_of(100, 255), 100);
    }
}
