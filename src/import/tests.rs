//! Whatever bytes come in, every reader ends with a value or an error, and no error shows them.

use super::{EnvReader, VaultPassword, VaultPasswords, ansible, clear_env, json, sops, yaml};
use crate::words::{Error, Result, Secret};

const SEEDS: [&[u8]; 6] = [
    b"a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3031\nb: [1, {c: 'x'}, \"y\\n\"]\nd: >-\n  e\n",
    b"{\"a\": {\"b\": [1, \"\\u00e4\", null]}, \"sops\": {\"mac\": \"x\", \"age\": [{\"enc\": \"x\", \"recipient\": \"y\"}]}}",
    b"a: ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]\nsops:\n  mac: ENC[]\n  lastmodified: x\n  age:\n    - enc: x\n",
    b"A=ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]\n#ENC[x]\nsops_mac=x\nsops_age__list_0__map_enc=x\nsops_lastmodified=y\n",
    b"export A=\"x\\n\" # c\nB='y\nz'\nC=a\\\nb\r\n;d\nE",
    b"$ANSIBLE_VAULT;1.2;AES256;x\n33303331306133303331306133303331\n",
];

/// Cuts, doubles and replaces pieces, the same way in every run.
fn altered(seed: &[u8], state: &mut u64) -> Vec<u8> {
    let mut below = |end: usize| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize % end.max(1)
    };
    let mut bytes = seed.to_vec();
    for _ in 0..=below(4) {
        let at = below(bytes.len());
        match below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, b"\n\"'\\:{}[]#!&*|=- \t\xff,%"[below(21)]),
            2 => drop(bytes.drain(at..(at + below(9)).min(bytes.len()))),
            _ => bytes.extend_from_slice(&seed[below(seed.len())..]),
        }
    }
    bytes
}

fn read_all(bytes: &[u8]) {
    let password = VaultPassword { label: None, place: "p".to_owned(), password: Secret::new(*b"pw") };
    let open = |sealed: &[u8]| -> Result<Secret> {
        if sealed.is_empty() { Err(Error::new("empty")) } else { Ok(Secret::new([7; 32])) }
    };
    for dialect in EnvReader::ALL.into_iter().chain([EnvReader::Sops]).map(Some).chain([None]) {
        _ = clear_env::read(bytes, dialect);
    }
    _ = (yaml::read(bytes), json::read(bytes));
    let manner = ansible::Manner { with_clear: true, is_whole: false, dialect: None };
    _ = ansible::read(bytes, &VaultPasswords(vec![password]), &manner);
    for form in [sops::Form::Env, sops::Form::Json, sops::Form::Yaml] {
        for is_whole in [false, true] {
            _ = sops::read(bytes, form, &sops::Manner { with_clear: false, is_whole, dialect: None }, &open);
        }
    }
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let mut state = 4711;
    for seed in SEEDS {
        read_all(seed);
        (0..300).for_each(|_| read_all(&altered(seed, &mut state)));
    }
}
