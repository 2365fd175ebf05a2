//! `FormatGiven`: a dialect, by its word, as an option names one.

use crate::dialect::Dialect;
use crate::words::{Error, Result, named};
use std::str::FromStr;

#[derive(Clone, Copy)]
pub struct FormatGiven(pub Dialect);

impl FromStr for FormatGiven {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named(text, "a format of variables", &Dialect::ALL.map(|dialect| (dialect.as_str(), dialect))).map(Self)
    }
}
