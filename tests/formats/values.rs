//! Values made from what usually goes wrong, always the same from the same seed.

use super::chance::{Lcg, PARTS};
use distribute::dialect::Dialect;
use distribute::words::{KeyName, Secret};

/// What a dialect accepted, and of how many.
pub struct Values {
    pub values: Vec<(KeyName, Secret)>,
    pub asked: usize,
}

impl Values {
    pub fn make(random: &mut Lcg, asked: usize, dialect: Dialect, is_taken: &dyn Fn(&[u8]) -> bool) -> Self {
        let mut values = Vec::new();
        for index in 0..asked {
            // Most hold one or two of what goes wrong, between harmless ones; some are nothing else.
            let length = [0, 1, 2, 3, 3, 4, 6, 9][random.below(8)];
            let part = |random: &mut Lcg| match random.below(3) {
                0 => &b"ab"[..],
                _ => PARTS[random.below(PARTS.len())],
            };
            let value: Vec<u8> = (0..length).flat_map(|_| part(random)).copied().collect();
            let key = KeyName::new(format!("K{index}{}", ["", "_x", "_", "-y"][index % 4])).unwrap();
            let value = Secret::new(value);
            if dialect.refuses(&key, &value).is_none() && is_taken(value.expose()) {
                values.push((key, value));
            }
        }
        Self { values, asked }
    }
}
