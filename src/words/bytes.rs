//! A size for people.

/// `1.9 KiB`.
pub fn bytes(count: u64) -> String {
    let (mut unit, mut rest) = ("B", count as f64);
    for next in ["KiB", "MiB", "GiB"] {
        if rest >= 1024.0 {
            (unit, rest) = (next, rest / 1024.0);
        }
    }
    if unit == "B" { format!("{count} B") } else { format!("{rest:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_short() {
        let cases = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_900_000, "1.8 MiB"), (5 << 40, "5120.0 GiB")];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }
}
