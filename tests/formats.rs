//! Whether what we write arrives: the readers themselves are asked, with thousands of values made from what usually goes wrong.
//! A reader that is not installed is left out, and says so.

#[path = "formats/chance.rs"]
mod chance;
#[path = "formats/readers.rs"]
mod readers;
#[path = "formats/values.rs"]
mod values;

use chance::Lcg;
use distribute::dialect::{Dialect, Manifest};
use readers::{Read, Reader};
use values::Values;

const SEED: u64 = 20261122;

/// Every value that the writer accepts arrives, byte for byte; and those are not few.
#[track_caller]
fn arrives(dialect: Dialect, reader: &dyn Reader, least: usize) {
    if let Some(missing) = reader.missing() {
        return println!("skipped: {missing} is not installed");
    }
    println!("{} seed {SEED}", reader.name());
    let mut random = Lcg::new(SEED);
    let made = Values::make(&mut random, 4000, dialect, &|value| reader.takes(value));
    let bent = made.values.chunks(reader.at_once()).flat_map(|values| {
        let file = dialect.write(values, Some(&manifest())).unwrap();
        assert_eq!(dialect.read(file.expose()).unwrap(), values, "{} reads what it wrote", dialect.as_str());
        let found = reader.read(file.expose());
        values.iter().filter_map(move |(key, value)| bent(key.as_str(), value.expose(), &found)).collect::<Vec<_>>()
    });
    let bent: Vec<String> = bent.collect();
    let (count, first) = (bent.len(), bent.iter().take(8).cloned().collect::<Vec<_>>().join("\n"));
    assert!(bent.is_empty(), "{}: {count} are bent:\n{first}", reader.name());
    println!("{}: {} of {} arrived", reader.name(), made.values.len(), made.asked);
    assert!(made.values.len() >= least, "only {} of {} were accepted", made.values.len(), made.asked);
}

fn bent(key: &str, value: &[u8], found: &Read) -> Option<String> {
    let got = found.get(key);
    let shown = || got.map_or_else(|| "nothing".to_owned(), |got| got.escape_ascii().to_string());
    (got.map(Vec::as_slice) != Some(value)).then(|| format!("{key}: {} became {}", value.escape_ascii(), shown()))
}

fn manifest() -> Manifest {
    Manifest::of(&"API.v2".parse().unwrap(), Some("live")).unwrap()
}

#[test]
fn docker_reads_what_is_written() {
    arrives(Dialect::Docker, &readers::Docker, 1500);
}

#[test]
fn kubectl_reads_what_is_written_for_docker() {
    arrives(Dialect::Docker, &readers::KubectlFromEnvFile, 1500);
}

#[test]
fn compose_of_version_1_reads_what_is_written() {
    arrives(Dialect::Compose, &readers::ComposeOne, 1500);
    arrives(Dialect::Compose, &readers::ComposeOneFunction, 1500);
}

#[test]
fn compose_of_version_2_reads_what_is_written() {
    arrives(Dialect::Compose, &readers::ComposeTwo, 1500);
}

#[test]
fn systemd_reads_what_is_written() {
    arrives(Dialect::Systemd, &readers::EnvironmentGenerator, 1500);
    arrives(Dialect::Systemd, &readers::Unit, 1500);
}

#[test]
fn shells_read_what_is_written() {
    for shell in readers::SHELLS {
        arrives(Dialect::Shell, &shell, 2900);
    }
}

#[test]
fn python_reads_the_json() {
    arrives(Dialect::Json, &readers::PythonJson, 2500);
}

#[test]
fn kubectl_reads_the_manifest() {
    arrives(Dialect::Kubernetes, &readers::KubectlCreate, 3500);
}

/// Shells stop at a variable of their own, or change it: such names are not written for them.
#[test]
fn no_shell_stops_at_a_name_that_is_accepted() {
    let asked = [
        "UID",
        "EUID",
        "PPID",
        "GROUPS",
        "RANDOM",
        "SECONDS",
        "LINENO",
        "OPTIND",
        "BASHOPTS",
        "SHELLOPTS",
        "_",
        "BASH_VERSINFO",
        "FUNCNAME",
        "DIRSTACK",
        "EPOCHSECONDS",
        "KSH_VERSION",
        "PGRP",
        "USER_ID",
        "GID",
        "KSHUID",
        "EGID",
        "KSHEGID",
        "KSHGID",
        "BASHPID",
        "BASH_VERSION",
        "HOSTNAME",
        "PWD",
        "OLDPWD",
        "PS1",
        "PS4",
        "ENV",
        "MAIL",
        "TERM",
        "LANG",
        "OPTARG",
        "OPTERR",
        "REPLY",
        "MACHTYPE",
        "OSTYPE",
        "HOSTTYPE",
        "COLUMNS",
        "LINES",
        "HISTSIZE",
        "TMOUT",
        "BASH_ENV",
        "SHLVL",
        "HISTCMD",
        "COMP_WORDBREAKS",
        "SHELL",
        "HOME",
        "USER",
        "CDPATH",
        "TMPDIR",
        "EDITOR",
        "VISUAL",
        "BASH_COMMAND",
        "BASH_SUBSHELL",
        "PIPESTATUS",
        "SRANDOM",
        "EPOCHREALTIME",
        "BASH_ARGC",
        "BASH_ARGV",
        "BASH_LINENO",
        "BASH_SOURCE",
        "BASH_CMDS",
        "BASH_ALIASES",
        "BASH_COMPAT",
        "FUNCNEST",
        "POSIXLY_CORRECT",
        "EXECSHELL",
        "FCEDIT",
        "KSH",
        "FPATH",
        "MAILPATH",
        "MAILCHECK",
        "PS2",
        "PS3",
        "CONSOLE",
        "FIGNORE",
        "GLOBIGNORE",
        "IGNOREEOF",
        "INPUTRC",
    ];
    let value = distribute::words::Secret::new(*b"POISON7");
    let pair = |name: &&str| (distribute::words::KeyName::new(*name).unwrap(), value.clone());
    let accepted: Vec<_> =
        asked.iter().map(pair).filter(|(key, value)| Dialect::Shell.refuses(key, value).is_none()).collect();
    assert!(accepted.len() > 20);
    for shell in readers::SHELLS {
        if let Some(missing) = shell.missing() {
            println!("skipped: {missing} is not installed");
            continue;
        }
        let stopped = accepted.iter().filter_map(|pair| {
            let file = Dialect::Shell.write(std::slice::from_ref(pair), None).unwrap();
            bent(pair.0.as_str(), pair.1.expose(), &shell.read(file.expose()))
        });
        assert_eq!(stopped.collect::<Vec<_>>(), Vec::<String>::new(), "{}", shell.name());
    }
}

/// The longest line that docker reads, and one more.
#[test]
fn docker_stops_at_the_line_that_is_refused() {
    let reader = readers::Docker;
    if let Some(missing) = reader.missing() {
        return println!("skipped: {missing} is not installed");
    }
    let pair = |length: usize| {
        (distribute::words::KeyName::new("A").unwrap(), distribute::words::Secret::new(vec![b'a'; length]))
    };
    let longest = (65_000..66_000).rev().find(|length| Dialect::Docker.check(&[pair(*length)]).is_ok()).unwrap();
    let file = Dialect::Docker.write(&[pair(longest)], None).unwrap();
    assert_eq!(reader.read(file.expose()).get("A").map(Vec::len), Some(longest));
}
