//! Looks over the shoulder of every process: samples the arguments and environments of all processes of this machine,
//! which are those of the client and, because hosts share our kernel, those of the hosts too.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What every poison value of this test run begins with.
pub fn prefix() -> &'static str {
    static PREFIX: OnceLock<String> = OnceLock::new();
    PREFIX.get_or_init(|| format!("pZn{}", random_hex(6)))
}

pub fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random).unwrap();
    data_encoding::HEXLOWER.encode(&random)
}

/// While one of these lives, processes are watched.
pub struct Watch(());

impl Watch {
    pub fn start() -> Self {
        static THREAD: OnceLock<()> = OnceLock::new();
        RUNNING.fetch_add(1, Ordering::SeqCst);
        THREAD.get_or_init(|| drop(std::thread::spawn(watch)));
        Self(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Where a poison value was seen so far. Any test's is everybody's: they all have to be nowhere.
pub fn seen() -> Vec<String> {
    SEEN.lock().unwrap().clone()
}

fn watch() {
    loop {
        if RUNNING.load(Ordering::SeqCst) > 0 {
            sample();
        }
        std::thread::sleep(Duration::from_millis(7));
    }
}

/// Everything that the tests start is younger than they are, and has a higher number.
fn sample() {
    let ours = std::process::id();
    let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for pid in numbers.filter(|pid: &u32| *pid > ours) {
        for name in ["cmdline", "environ"] {
            let Ok(bytes) = fs::read(format!("/proc/{pid}/{name}")) else { continue };
            if contains(&bytes, prefix().as_bytes()) {
                let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                let place = format!("{name} of process {pid} ({})", command.trim());
                let mut seen = SEEN.lock().unwrap();
                if !seen.contains(&place) {
                    seen.push(place);
                }
            }
        }
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window[0] == what[0] && window == what)
}
