//! `option_value`: reads the value of an option, for clap, which shows an error's message and would lose its hints.

use crate::words::Error;
use std::str::FromStr;

/// As a `value_parser`; each hint is on a line of its own, as in all our errors.
pub fn option_value<T: FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: Error| {
        let hints = error.hints().iter().map(|hint| format!("\nhint: {hint}"));
        format!("{error}{}", hints.collect::<String>())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Period;

    #[test]
    fn hints_are_not_lost() {
        assert_eq!(option_value::<Period>("2w").unwrap().as_secs(), 1_209_600);
        let message = option_value::<Period>("1x").unwrap_err();
        assert_eq!(message, "`1x` is not a period\nhint: write a number and a unit: 30s, 15m, 24h, 90d or 2w");
    }
}
