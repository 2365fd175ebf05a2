use super::*;
use std::collections::BTreeMap;

/// Bytes that count up from here, and around.
fn counting(start: u8) -> impl FnMut(&mut [u8]) {
    let mut next = start;
    move |buffer| buffer.iter_mut().for_each(|byte| (*byte, next) = (next, next.wrapping_add(1)))
}

fn system(buffer: &mut [u8]) {
    getrandom::fill(buffer).unwrap();
}

fn text(secret: &Secret) -> String {
    String::from_utf8(secret.expose().to_vec()).unwrap()
}

fn made(spec: &str, random: Random) -> Generated {
    let generator: Generator = spec.parse().unwrap();
    assert_eq!(generator.to_string(), spec);
    let made = generator.generate(random).unwrap();
    assert_eq!(made.public.is_some(), generator.is_key_pair());
    made
}

#[test]
fn values_follow_from_the_random_bytes() {
    let made = |spec, start| text(&made(spec, &mut counting(start)).secret);
    assert_eq!(made("password:8", 60), "89_-ABCD");
    assert_eq!(made("alnum:8", 60), "89ABCDEF");
    assert_eq!(made("hex:8", 0), "0001020304050607");
    assert_eq!(made("base64:9", 0), "AAECAwQFBgcI");
    assert_eq!(made("uuid", 0), "00010203-0405-4607-8809-0a0b0c0d0e0f");
}

/// The private half is the example of RFC 8410, section 10.3; the public half is that of its section 10.1.
#[test]
fn an_ed25519_pair_is_that_of_the_rfc() {
    let seed = b"\xd4\xee\x72\xdb\xf9\x13\x58\x4a\xd5\xb6\xd8\xf1\xf7\x69\xf8\xad\x3a\xfe\x7c\x28\xcb\xf1\xd4\xfb\xe0\x97\xa8\x8f\x44\x75\x58\x42";
    let made = made("ed25519", &mut |buffer| buffer.copy_from_slice(seed));
    let private = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
    assert_eq!(text(&made.secret), format!("-----BEGIN PRIVATE KEY-----\n{private}\n-----END PRIVATE KEY-----\n"));
    let public = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    let expected = format!("-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n");
    assert_eq!(text(&made.public.unwrap()), expected);
}

/// The numbers themselves are OpenSSL's to check, in `tests/bundle`.
#[test]
fn an_rsa_pair_is_two_documents_of_its_size() {
    let made = made("rsa:2048", &mut system);
    let (private, public) = (text(&made.secret), text(&made.public.unwrap()));
    assert!(private.starts_with("-----BEGIN PRIVATE KEY-----\nMIIE") && !private.contains('\r'));
    assert!(private.ends_with("\n-----END PRIVATE KEY-----\n"));
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\nMIIB") && public.ends_with("-----END PUBLIC KEY-----\n"));
    assert!(text(&Generator::Rsa(2048).placeholder(1)).len().abs_diff(private.len()) < 16);
    assert!(Generator::Rsa(512).generate(&mut system).unwrap_err().message().contains("512 bits"));
}

fn counts(spec: &str, random: Random) -> BTreeMap<u8, usize> {
    let mut counts = BTreeMap::new();
    made(spec, random).secret.expose().iter().for_each(|letter| *counts.entry(*letter).or_default() += 1);
    counts
}

#[test]
fn every_byte_value_leads_to_a_letter_that_four_lead_to() {
    let password = counts("password:256", &mut counting(0));
    assert!(password.len() == 64 && password.values().all(|count| *count == 4));
    // 256 values, less the four each of the two that are drawn again.
    let alnum = counts("alnum:248", &mut counting(0));
    assert!(alnum.len() == 62 && alnum.values().all(|count| *count == 4));
    assert!(alnum.keys().all(u8::is_ascii_alphanumeric));
}

/// Pearson's chi-square of this many letters against all being equally likely.
fn chi_square(letters: usize, counts: &BTreeMap<u8, usize>) -> f64 {
    let expected = counts.values().sum::<usize>() as f64 / letters as f64;
    let missing = (letters - counts.len()) as f64 * expected;
    missing + counts.values().map(|count| (*count as f64 - expected).powi(2) / expected).sum::<f64>()
}

fn many(spec: &str) -> BTreeMap<u8, usize> {
    let mut all = BTreeMap::new();
    for _ in 0..100 {
        counts(spec, &mut system).into_iter().for_each(|(letter, count)| *all.entry(letter).or_default() += count);
    }
    all
}

/// With 63 degrees of freedom, 200 is passed by chance once in 10^15; a modulus of 62 reaches over 600 with 100,000 letters.
#[test]
fn the_systems_randomness_prefers_no_letter() {
    assert!(chi_square(64, &many("password:1000")) < 200.0);
    assert!(chi_square(62, &many("alnum:1000")) < 200.0);
    let mut biased = BTreeMap::new();
    let mut random = vec![0; 100_000];
    system(&mut random);
    random.iter().for_each(|byte| *biased.entry(byte % 62).or_default() += 1);
    assert!(chi_square(62, &biased) > 200.0, "the test sees what it is there for");
}

#[test]
fn characters_mean_the_same_in_every_env_file() {
    let url_safe = |b: &u8| b.is_ascii_alphanumeric() || b"_-".contains(b);
    for spec in ["password:1024", "alnum:1024", "hex:1024", "uuid"] {
        assert!(made(spec, &mut system).secret.expose().iter().all(url_safe), "{spec}");
    }
    let base64 = |b: &u8| b.is_ascii_alphanumeric() || b"+/=".contains(b);
    for length in 1022..=1024 {
        assert!(made(&format!("base64:{length}"), &mut system).secret.expose().iter().all(base64));
    }
}

#[test]
fn a_uuid_says_random_and_variant_1() {
    for _ in 0..100 {
        let uuid = text(&made("uuid", &mut system).secret);
        let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert!(uuid.as_bytes()[14] == b'4' && b"89ab".contains(&uuid.as_bytes()[19]), "RFC 9562, 5.4");
    }
}

#[test]
fn a_placeholder_has_the_shape_of_a_value_and_differs_by_tag() {
    for spec in ["password:8", "alnum:8", "hex:8", "base64:8", "password", "uuid", "ed25519", "rsa:4096"] {
        let generator: Generator = spec.parse().unwrap();
        let tags = (0..5000).chain([1 << 20, 1 << 35]);
        let all: Vec<_> = tags.map(|tag| text(&generator.placeholder(tag))).collect();
        let apart: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(apart.len(), all.len(), "{spec}");
        assert_eq!(generator.placeholder(7), generator.placeholder(7));
        if !spec.starts_with("rsa") {
            assert_eq!(all[7].len(), generator.generate(&mut system).unwrap().secret.len(), "{spec}");
        }
        assert_eq!(all[7].lines().count() > 1, generator.is_key_pair(), "{spec}");
    }
}

#[test]
fn other_specs_are_refused() {
    for bad in
        ["", "password:7", "password:1025", "hex:x", "hex:-1", "uuid:8", "ed25519:32", "rsa:1024", "rsa:", "nice"]
    {
        assert!(bad.parse::<Generator>().is_err(), "{bad}");
    }
    let command = "command".parse::<Generator>().unwrap_err();
    assert!(command.message().contains("can only stand in a playbook's [[rotate]] policy"));
    assert_eq!("password".parse::<Generator>().unwrap(), Generator::Password(32));
    assert_eq!("rsa".parse::<Generator>().unwrap(), Generator::Rsa(2048));
}
