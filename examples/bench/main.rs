//! `make bench`: what a setup, a change, an audit and a deploy of nothing take, on many throw-away hosts. These do their work on the same
//! processors, and the build is the one of the tests: compare the rows of one run with each other, and nothing else.
//! The bundle is opened with a key, so no row holds the second that a password takes.

#[path = "../demo/fleet.rs"]
mod fleet;
#[path = "../demo/project.rs"]
#[allow(dead_code, reason = "the demo copies the whole example")]
mod project;
#[path = "../demo/story.rs"]
#[allow(dead_code, reason = "the demo tells what it does")]
mod story;

use fleet::Fleet;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::fs;
use std::io::{Error, Result};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use story::Interrupts;

const HOSTS: usize = 48;
/// Each service and its one key.
const SERVICES: [(&str, &str); 4] = [("github-oidc", "OIDC"), ("aws", "AWS"), ("cloudflare", "FLARE"), ("api", "API")];

#[tokio::main]
async fn main() -> ExitCode {
    match bench().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench() -> Result<()> {
    let mut interrupts = Interrupts::listen()?;
    let directory = tempfile::Builder::new().prefix("bench-").tempdir()?;
    let top = directory.path().canonicalize()?;
    let names: Vec<String> = (1..=HOSTS).map(|number| format!("host{number}")).collect();
    let fleet = Fleet::start(&names, &top, &top.join("home")).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let bench = Bench { top, stop: stop.clone() };
    let mut measured = tokio::task::spawn_blocking(move || measure(&bench, &fleet));
    let ended = tokio::select! {
        ended = &mut measured => ended?,
        () = interrupts.next() => {
            stop.store(true, Ordering::Relaxed);
            measured.await?
        }
    };
    directory.close()?;
    ended
}

fn measure(bench: &Bench, fleet: &Fleet) -> Result<()> {
    bench.prepare(fleet)?;
    println!("{HOSTS} hosts in one process, on the same processors; the build of the tests");
    println!("{:<36} {:>8} {:>12} {:>8}", "", "seconds", "CPU ms/host", "ratio");
    let setup = bench.run("setup")?;
    let nothing = bench.best("deploy")?;
    let audit = bench.best("audit")?;
    bench.run("bundle set aws.AWS --generate password:40")?;
    let change = bench.run("deploy")?;
    let rows = [
        ("deploy of nothing (best of 3)", &nothing),
        ("audit (best of 3)", &audit),
        ("deploy of one changed value", &change),
        ("first setup", &setup),
    ];
    for (name, cost) in rows {
        let (per_host, ratio) = (cost.cpu * 1000.0 / HOSTS as f64, cost.seconds / nothing.seconds);
        println!("{name:<36} {:>8.2} {per_host:>12.1} {ratio:>8.1}", cost.seconds);
    }
    Ok(())
}

struct Bench {
    top: PathBuf,
    /// No more commands: the one that runs ends by itself, with Ctrl-C at once.
    stop: Arc<AtomicBool>,
}

struct Cost {
    seconds: f64,
    /// Seconds of processor time of the program, without the hosts.
    cpu: f64,
}

impl Bench {
    fn prepare(&self, fleet: &Fleet) -> Result<()> {
        let (project, env) = (self.top.join("project"), self.top.join("env"));
        for directory in [&env, &project.join("inventory"), &project.join("playbooks")] {
            fs::create_dir_all(directory)?;
        }
        let lines = fleet.hosts.iter().map(|host| project::inventory_line(host, "groups = [\"production\"] }"));
        let inventory = format!("[hosts]\n{}\n", lines.collect::<Vec<_>>().join("\n"));
        fs::write(project.join("inventory/hosts.toml"), inventory)?;
        let plays = fs::read_to_string("playbooks/callableapis.toml")?;
        fs::write(project.join("playbooks/callableapis.toml"), project::playbook(&plays))?;
        for (service, key) in SERVICES {
            fs::write(env.join(format!("{service}.env")), format!("{key}=made-up\n"))?;
        }
        let key = self.command(&format!("keygen -o {}", self.key().display()))?.stderr(Stdio::inherit()).output()?;
        let public = String::from_utf8_lossy(&key.stdout).trim().to_owned();
        self.run(&format!("bundle create --recipient {public} {}", env.display()))?;
        Ok(())
    }

    fn key(&self) -> PathBuf {
        self.top.join("key")
    }

    fn command(&self, words: &str) -> Result<Command> {
        let mut command = Command::new(story::program()?);
        command.args(words.split(' ')).current_dir(self.top.join("project")).stdin(Stdio::null()).env_clear();
        command.env("HOME", self.top.join("home")).env("DISTRIBUTE_IDENTITY", self.key()).arg("-q");
        Ok(command)
    }

    /// Of three runs, the one that was disturbed least.
    fn best(&self, words: &str) -> Result<Cost> {
        let costs = (0..3).map(|_| self.run(words)).collect::<Result<Vec<Cost>>>()?;
        Ok(costs.into_iter().min_by(|a, b| a.seconds.total_cmp(&b.seconds)).expect("there were three"))
    }

    fn run(&self, words: &str) -> Result<Cost> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::other("interrupted"));
        }
        let start = Instant::now();
        let mut child = self.command(words)?.stdout(Stdio::null()).spawn()?;
        let id = Pid::from_raw(child.id() as i32);
        waitid(Id::Pid(id), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
        let (seconds, cpu) = (start.elapsed().as_secs_f64(), processor_seconds(id).unwrap_or(f64::NAN));
        match child.wait()? {
            status if status.success() => Ok(Cost { seconds, cpu }),
            status => Err(Error::other(format!("distribute {words}: {status}"))),
        }
    }
}

/// Of a process that has ended and was not waited for: fields 14 and 15 of its stat, in clock ticks.
fn processor_seconds(id: Pid) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / sysconf(SysconfVar::CLK_TCK).ok()?? as f64)
}
