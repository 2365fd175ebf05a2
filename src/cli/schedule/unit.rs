//! `Unit`: a service or a timer as the text of a systemd unit file. Pure: nothing is written here.

use super::call::{Call, Word};
use super::job::Job;

/// A file for systemd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// `distribute-rotate.timer`
    pub file_name: String,
    pub text: String,
}

/// For whom the units are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    System,
    User,
}

/// The first line of each of our units, by which we know it again.
pub fn mark(project: &str) -> String {
    format!("# Written by distribute schedule for {project}")
}

/// A service and a timer for each job; `name` is what their names begin with.
pub fn units(call: &Call, jobs: &[Job], name: &str, manager: Manager) -> Vec<Unit> {
    let of = |job: &Job| {
        [("service", service(call, job, manager)), ("timer", timer(call, job))]
            .map(|(kind, text)| Unit { file_name: format!("{name}-{}.{kind}", job.name), text })
    };
    jobs.iter().flat_map(of).collect()
}

fn head(call: &Call, job: &Job) -> String {
    let (project, name, about) = (&call.project, job.name, job.about);
    format!("{}\n[Unit]\nDescription=distribute {name}, {about}: {}\n", mark(project), literal(project))
}

fn service(call: &Call, job: &Job, manager: Manager) -> String {
    let network = match manager {
        Manager::System => "Wants=network-online.target\nAfter=network-online.target\n",
        // The user's manager knows no such target.
        Manager::User => "",
    };
    let credentials: String =
        call.private().map(|(name, path)| format!("LoadCredential={name}:{}\n", literal(path))).collect();
    let environment = call.variable().map(|(name, value)| environment(name, value)).unwrap_or_default();
    format!(
        "{}{network}\n[Service]\nType=oneshot\nExecStart={}\n{environment}{credentials}UMask=0077\nLimitCORE=0\n{}",
        head(call, job),
        command(call, job),
        hardening(manager)
    )
}

/// No ProtectSystem: the bundle is saved where it lies. A user's manager cannot have a private /tmp, and there sudo on this machine, or a
/// sendmail that is setgid, would fail with NoNewPrivileges. The system's manager runs what names no user as root, but without HOME, where
/// SSH keys are.
const fn hardening(manager: Manager) -> &'static str {
    match manager {
        Manager::System => "NoNewPrivileges=yes\nPrivateTmp=yes\nUser=root\n",
        Manager::User => "",
    }
}

fn timer(call: &Call, job: &Job) -> String {
    format!(
        "{}\n[Timer]\nOnCalendar={}\nPersistent=true\nRandomizedDelaySec=5min\n\n[Install]\nWantedBy=timers.target\n",
        head(call, job),
        job.at.calendar()
    )
}

/// With a colon in front no variable is put in, so a dollar sign is one.
fn command(call: &Call, job: &Job) -> String {
    let mut line = quoted(&format!(":{}", literal(&call.program)));
    for word in call.words(job) {
        line.push(' ');
        line.push_str(&match word {
            Word::Plain(text) => quoted(&literal(&text)),
            Word::Private { name, .. } => format!("%d/{name}"),
        });
    }
    line
}

/// A dollar sign is one here.
fn environment(name: &str, value: &str) -> String {
    format!("Environment={}\n", quoted(&format!("{name}={}", literal(value))))
}

/// Without specifiers.
fn literal(text: &str) -> String {
    text.replace('%', "%%")
}

/// As one word of `ExecStart=` or `Environment=`.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/:._-%+=@,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::job::jobs;
    use super::*;

    fn of(call: &Call, manager: Manager) -> Vec<Unit> {
        let time = |text: &str| text.parse().unwrap();
        units(
            call,
            &jobs(time("Sun 02:00"), time("03:00"), time("Sun 04:00"), time("1st 05:00")),
            "distribute",
            manager,
        )
    }

    #[test]
    fn a_service_and_a_timer_each() {
        let call = Call::fixture("/usr/bin/distribute", "/srv/servers", "/srv/servers/vault-password");
        let units = of(&call, Manager::System);
        let names: Vec<&str> = units.iter().map(|unit| unit.file_name.as_str()).collect();
        assert_eq!(names.len(), 8);
        assert_eq!(names[..3], ["distribute-rotate.service", "distribute-rotate.timer", "distribute-audit.service"]);
        assert_eq!(
            units[0].text,
            "# Written by distribute schedule for /srv/servers\n\
             [Unit]\n\
             Description=distribute rotate, new values for secrets that are due: /srv/servers\n\
             Wants=network-online.target\n\
             After=network-online.target\n\
             \n\
             [Service]\n\
             Type=oneshot\n\
             ExecStart=:/usr/bin/distribute -C /srv/servers --password-file %d/vault-password -q rotate\n\
             LoadCredential=vault-password:/srv/servers/vault-password\n\
             UMask=0077\n\
             LimitCORE=0\n\
             NoNewPrivileges=yes\n\
             PrivateTmp=yes\n\
             User=root\n"
        );
        assert!(units[1].text.contains("\nOnCalendar=Sun *-*-* 02:00:00\nPersistent=true\n"), "{}", units[1].text);
        let users = of(&call, Manager::User);
        assert!(!users[0].text.contains("PrivateTmp") && !users[0].text.contains("network-online"));
    }

    #[test]
    fn what_systemd_would_read_otherwise_is_quoted() {
        let call = Call::fixture("/opt/a b/distribute", "/srv/50% \"x\" \\y $HOME", "/srv/50%/p w");
        let text = &of(&call, Manager::System)[0].text;
        let line = text.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
        assert_eq!(
            line,
            "ExecStart=\":/opt/a b/distribute\" -C \"/srv/50%% \\\"x\\\" \\\\y $HOME\" --password-file %d/vault-password -q rotate"
        );
        assert!(text.contains("\nLoadCredential=vault-password:/srv/50%%/p w\n"), "{text}");
        assert!(!text.contains("Environment="), "{text}");
        let call = call.with_state_directory("/srv/50% \"x\" \\y $HOME");
        for unit in of(&call, Manager::User).iter().filter(|unit| unit.file_name.ends_with(".service")) {
            let line = "\nEnvironment=\"DISTRIBUTE_STATE_DIR=/srv/50%% \\\"x\\\" \\\\y $HOME\"\n";
            assert!(unit.text.contains(line), "{}", unit.text);
        }
    }
}
