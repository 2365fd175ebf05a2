//! Which values are looked for: all of eight bytes and more but those that stand in many files for good reasons, and shorter ones beside
//! their key.

use super::needles::SHORTEST;

/// Shorter values are not looked for at all.
const SHORTEST_BESIDE_KEY: usize = 4;
/// Numbers of fewer digits are ports, dates and sizes.
const DIGITS: usize = 12;
/// Words of configurations; in small letters.
const WORDS: [&str; 60] = [
    "true",
    "false",
    "none",
    "null",
    "auto",
    "default",
    "enable",
    "enabled",
    "disable",
    "disabled",
    "require",
    "required",
    "prefer",
    "allow",
    "deny",
    "verify-full",
    "verify-ca",
    "optional",
    "production",
    "prod",
    "staging",
    "stage",
    "development",
    "develop",
    "test",
    "testing",
    "local",
    "localhost",
    "internal",
    "external",
    "public",
    "private",
    "standard",
    "debug",
    "info",
    "notice",
    "warn",
    "warning",
    "error",
    "critical",
    "trace",
    "verbose",
    "json",
    "text",
    "plain",
    "utf-8",
    "utf8",
    "utf8mb4",
    "http",
    "https",
    "smtp",
    "starttls",
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "sqlite",
    "redis",
    "mongodb",
    "rabbitmq",
];
const AREAS: [&str; 11] = [
    "africa",
    "america",
    "antarctica",
    "arctic",
    "asia",
    "atlantic",
    "australia",
    "europe",
    "indian",
    "pacific",
    "etc",
];
const PUBLIC: [&[u8]; 3] = [b"-----BEGIN PUBLIC", b"-----BEGIN CERTIFICATE", b"-----BEGIN RSA PUBLIC"];

/// Where a value is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    Everywhere,
    BesideKey,
    Nowhere,
}

/// `is_name`: does this text, in small letters, stand in the name of a secret?
pub fn sought(value: &[u8], is_generated: bool, is_name: impl Fn(&str) -> bool) -> Sought {
    let value = value.trim_ascii();
    let is_left_out = || is_plain(value) || std::str::from_utf8(value).is_ok_and(|text| is_name(&text.to_lowercase()));
    match value.len() {
        length if length < SHORTEST_BESIDE_KEY || (!is_generated && is_left_out()) => Sought::Nowhere,
        length if length < SHORTEST => Sought::BesideKey,
        _ => Sought::Everywhere,
    }
}

/// A word of configurations, a number, a region, a time zone, an address or a path without anything odd in it; or something public.
pub fn is_plain(value: &[u8]) -> bool {
    let is_ssh = || value.starts_with(b"ssh-") && value.windows(5).any(|part| part == b" AAAA");
    if PUBLIC.iter().any(|start| value.starts_with(start)) || is_ssh() {
        return true;
    }
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let is_word_of_config = WORDS.contains(&text.to_ascii_lowercase().as_str());
    is_word_of_config || is_number(text) || is_region(text) || is_time_zone(text) || is_address(text) || is_path(text)
}

fn is_number(text: &str) -> bool {
    let is_ip = text.parse::<std::net::IpAddr>().is_ok() || text.parse::<std::net::SocketAddr>().is_ok();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    is_ip || (text.bytes().all(|b| b.is_ascii_digit() || b".:,-/ +".contains(&b)) && digits < DIGITS)
}

/// `eu-central-1`, `us-east-2a`
fn is_region(text: &str) -> bool {
    let pieces: Vec<&str> = text.split('-').collect();
    let is_letters = |piece: &str| !piece.is_empty() && piece.bytes().all(|b| b.is_ascii_lowercase());
    match pieces.as_slice() {
        [area, middle @ .., number] => {
            let is_number = number.len() <= 2 && number.starts_with(|c: char| c.is_ascii_digit());
            area.len() == 2
                && is_letters(area)
                && !middle.is_empty()
                && middle.iter().all(|one| is_letters(one))
                && is_number
        }
        _ => false,
    }
}

fn is_time_zone(text: &str) -> bool {
    text.split_once('/').is_some_and(|(area, city)| {
        let is_city = city.bytes().all(|b| b.is_ascii_alphabetic() || b"_-/".contains(&b));
        AREAS.contains(&area.to_ascii_lowercase().as_str()) && is_city
    })
}

/// A host of three names and more, or a URL of the web: nobody's password is in it, and only words are.
fn is_address(text: &str) -> bool {
    let (is_url, rest) = match text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let is_in_order = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-:".contains(c);
    let host = rest.split('/').next().unwrap_or_default();
    let is_host = host.chars().all(is_in_order) && (is_url || host.matches('.').count() >= 2);
    is_host && (is_url || host == rest) && is_words(rest)
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.matches('/').count() >= 2 && is_words(text)
}

fn is_words(text: &str) -> bool {
    let is_between = |c: char| "./:-_".contains(c);
    text.chars().all(|c| c.is_ascii_alphanumeric() || is_between(c))
        && text.split(is_between).all(|piece| is_word(piece.as_bytes()))
}

/// Nothing, a short number; or letters in one case, also with a capital, and a number behind them as in `web01`.
pub fn is_word(piece: &[u8]) -> bool {
    let digits = piece.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let letters = &piece[..piece.len() - digits];
    let Some((first, rest)) = letters.split_first() else { return digits <= 5 };
    let is_in_case = rest.iter().all(u8::is_ascii_lowercase) || letters.iter().all(u8::is_ascii_uppercase);
    is_in_case && first.is_ascii_alphabetic() && digits <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_looked_for_but_what_stands_in_many_files() {
        let of = |value: &str| sought(value.as_bytes(), false, |text| "aws.db_username".contains(text));
        for value in [
            "prod_password_2024",
            "POISON_token_5555",
            "ACME-Corp-2023",
            "1234567890123456",
            "letmeinplease",
            "correct-horse-battery-staple",
            "postgres://u:pass@host/db",
            "ops@example.com",
            "letmein.please",
            "ssh-S3cretPass",
            "https://hooks.example.com/T0aB3/x9K2mQ",
        ] {
            assert_eq!(of(value), Sought::Everywhere, "{value}");
        }
        for value in [
            "production",
            "eu-central-1",
            "2026-11-22",
            "10.0.0.1:5432",
            "192.168.100.200:54321",
            "12345678",
            "https://api.example.com/v1/things",
            "web.example.com",
            "db-1.internal.example.com:5432",
            "Europe/Berlin",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
            "/var/lib/app",
            "USERNAME",
            "abc",
            "info",
        ] {
            assert_eq!(of(value), Sought::Nowhere, "{value}");
        }
        for value in ["short1", "tiger", "hunter2"] {
            assert_eq!(of(value), Sought::BesideKey, "{value}");
        }
        assert_eq!(sought(b"12345678", true, |_| false), Sought::Everywhere, "somebody had it made");
    }
}
