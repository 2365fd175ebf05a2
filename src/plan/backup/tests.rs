//! Backups packed, tampered with and compared.

use super::*;
use crate::plan::tests::want;
use crate::words::HostName;

const RUN: &str = "7-20261121T020000Z-7f3a";

fn backup(files: &[(&str, &str)]) -> Backup {
    let set = want(files);
    Backup::of_set(&set, &RUN.parse().unwrap(), Why::Deploy, "bundle")
}

fn packed(backup: &Backup) -> Secret {
    backup.pack(&Secret::new(*b"version = 1\n")).unwrap()
}

#[test]
fn what_was_packed_is_unpacked() {
    let backup = backup(&[("aws.env", "A=POISON\n"), ("tls/key", "\u{0}binary")]);
    let again = Backup::unpack(packed(&backup).expose()).unwrap();
    assert_eq!((&again.label, &again.files), (&backup.label, &backup.files));
    assert_eq!(again.vault_password, backup.vault_password);
    assert_eq!(again.keepsake, Secret::new(*b"version = 1\n"));
}

#[test]
fn stock_tar_sees_the_set_and_nothing_else() {
    let packed = packed(&backup(&[("aws.env", "A=1\n"), ("tls/key", "k")]));
    let clear = gunzip(packed.expose(), LARGEST).unwrap();
    let names = |archive: &mut tar::Archive<&[u8]>| -> Vec<String> {
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
    };
    assert_eq!(names(&mut tar::Archive::new(&clear)), ["aws.env", "tls/key"]);
    let mut both = tar::Archive::new(&clear[..]);
    both.set_ignore_zeros(true);
    let behind = [".distribute/backup.toml", ".distribute/bundle.toml", ".distribute/vault-password"];
    assert_eq!(names(&mut both), [&["aws.env", "tls/key"][..], &behind].concat());
}

#[test]
fn what_its_label_does_not_say_is_refused() {
    let good = backup(&[("aws.env", "A=1\n"), ("db.env", "D=1\n")]);
    let refused = |change: &dyn Fn(&mut Backup)| {
        let mut bad = good.clone();
        change(&mut bad);
        // It is packed by its label: what that does not name is put in by hand.
        let mut clear = Vec::new();
        append_tar(&mut clear, bad.files.iter().map(|(path, content)| (&**path, content, policy::FILE))).unwrap();
        let label = Secret::new(bad.label.to_toml().unwrap());
        let known = [(LABEL, &label), (KEEPSAKE, &bad.keepsake), (VAULT_PASSWORD, &bad.vault_password)];
        append_tar(&mut clear, known.into_iter().map(|(name, content)| (name, content, policy::FILE))).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut gzip, &clear).unwrap();
        Backup::unpack(&gzip.finish().unwrap()).map_or_else(|error| error.to_string(), |_| "taken".to_owned())
    };
    assert_eq!(refused(&|_| ()), "taken");
    let altered = refused(&|bad| _ = bad.files.insert("aws.env".to_owned(), Secret::new(*b"A=2\n")));
    assert_eq!(altered, "aws.env in it is not what its label says");
    let missing = refused(&|bad| _ = bad.files.remove("db.env"));
    assert_eq!(missing, "db.env is not in it, and its label says so");
    let more = refused(&|bad| _ = bad.files.insert("more.env".to_owned(), Secret::new(*b"")));
    assert_eq!(more, "more.env is in it, and its label does not say so");
}

#[test]
fn nothing_that_was_cut_or_altered_is_taken() {
    let packed = packed(&backup(&[("aws.env", "A=1\n")]));
    let packed = packed.expose();
    for length in 0..packed.len() {
        assert!(Backup::unpack(&packed[..length]).is_err(), "cut at {length}");
    }
    for other in [&b""[..], b"A=1\n", b"\x1f\x8b", &[0; 4096]] {
        assert!(Backup::unpack(other).is_err());
    }
}

#[test]
fn a_label_belongs_to_one_place() {
    let label = backup(&[("aws.env", "A=1\n")]).label;
    let (set, run) = (want(&[]), RUN.parse().unwrap());
    assert_eq!(label.is_not_of(&set, &run, "bundle"), None);
    let other = DesiredSet { host: "web2".parse().unwrap(), ..set.clone() };
    assert!(label.is_not_of(&other, &run, "bundle").unwrap().contains("another host, web1"));
    let moved = DesiredSet { root: crate::words::RemotePath::new("/opt/moved").unwrap(), ..set.clone() };
    assert!(label.is_not_of(&moved, &run, "bundle").unwrap().contains("another place, /opt/app"));
    assert!(label.is_not_of(&set, &"8-20261121T020000Z-7f3a".parse().unwrap(), "bundle").unwrap().contains("run, 7-"));
    assert!(label.is_not_of(&set, &run, "other").unwrap().contains("another bundle (bundle)"));
}

/// The label of a host whose `aws.env` has this hash.
fn label(host: &str, sha256: &str) -> Label {
    let mut label = backup(&[("aws.env", "A=1\n")]).label;
    label.host = HostName::new(host).unwrap();
    label.files[0].sha256 = sha256.to_owned();
    label.files[0].from = vec!["services/aws.env".to_owned()];
    label
}

fn odd(labels: &[Label]) -> Vec<String> {
    disagreements(labels).iter().map(|odd| format!("{}: {odd} [{}]", odd.host, odd.is_explained())).collect()
}

#[test]
fn hosts_of_a_run_have_the_same() {
    let all = [label("web1", "aa"), label("web2", "aa"), label("web3", "bb")];
    assert_eq!(odd(&all[..2]), Vec::<String>::new());
    assert_eq!(odd(&all), ["web3: aws.env is not what web1 has (and 1 more) [false]"]);
    // Made of other documents, or of another run, or of another play: they may differ.
    let mut other = all.clone();
    other[2].files[0].from.push("hosts/web3/aws.env".to_owned());
    assert_eq!(odd(&other), Vec::<String>::new());
    let mut other = all.clone();
    other[2].run = other[2].run.just_before();
    assert_eq!(odd(&other), Vec::<String>::new());
}

#[test]
fn what_a_run_recorded_explains_a_difference() {
    let mut all = [label("web1", "aa"), label("web2", "bb")];
    all[0].files[0].edited = true;
    assert_eq!(odd(&all), ["web1: aws.env is not what web2 has: it was changed by hand on the host [true]"]);
    all[0].files[0].edited = false;
    all[1].of = Some("6-20261114T020000Z-19c0".parse().unwrap());
    assert_eq!(odd(&all), ["web2: aws.env is not what web1 has: the set of another run was live there [true]"]);
}
