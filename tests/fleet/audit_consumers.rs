//! Who reads the secrets and is older than they are: units of a real systemd, containers of a real podman, and, where there is
//! nothing but busybox, stand-ins that answer as those do. A host's clock is never waited for longer than a second: what is made
//! newer is the file.

use crate::audit::lines;
use crate::host::{Host, Spec};
use crate::process_watch::random_hex;
use crate::workspace::{ROOT, Workspace, error, is_root, of, wait};
use chrono::{DateTime, SecondsFormat};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// systemd as the first process of a host, in a cgroup of its own. sshd stays out of it.
pub const SYSTEMD: &str = r#"
U=/run/units
mkdir -p $U /run/gen /run/cg
for t in sysinit basic shutdown default; do printf '[Unit]\nDefaultDependencies=no\n' > $U/$t.target; done
printf '[Service]\nExecStart=/bin/sleep 1000\nExecReload=/bin/true\n' > $U/a.service
mount -t cgroup2 cgroup2 /run/cg
mkdir /run/cg/CGROUP
/usr/sbin/sshd -D -e -f /etc/ssh/test_config &
echo 0 > /run/cg/CGROUP/cgroup.procs
umount /run/cg
exec unshare --cgroup --propagation unchanged sh -c '
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=test SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=/run/gen \
    /usr/lib/systemd/systemd --system --log-target=null --show-status=no'
"#;

/// The cgroups of a host, which do not go when it goes. To be made before it, so that it is dropped after it.
pub struct Cgroup(pub String);

impl Cgroup {
    /// `None` where there can be none.
    pub fn new() -> Option<Self> {
        let cgroup = Self(format!("distribute-{}", random_hex(8)));
        let can = Path::new("/usr/lib/systemd/systemd").exists() && cgroup.sh("mkdir /mnt/$1 && rmdir /mnt/$1");
        can.then_some(cgroup)
    }

    fn sh(&self, script: &str) -> bool {
        let script = format!("mount -t cgroup2 cgroup2 /mnt && {script}");
        let mut shell = Command::new("unshare");
        shell.args(["--mount", "sh", "-c", &script, "sh", &self.0]).stderr(Stdio::null());
        shell.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.sh("{ [ ! -d /mnt/$1 ] || find /mnt/$1 -depth -type d -exec rmdir {} +; }");
    }
}

fn time(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).unwrap().to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn number(host: &Host, script: &str) -> i64 {
    host.sh(script).trim().parse().unwrap()
}

/// A service of the playbook, and somebody who reads its file.
struct Reader<'a> {
    host: &'a Host,
    file: &'a str,
    name: &'a str,
    /// What he does last when he reads it, as the audit puts it.
    verb: &'a str,
    /// Prints when he did that, in seconds.
    asked: &'a str,
}

impl Reader<'_> {
    /// Makes the file a second newer than he is, and gives what is to be found then. By then the host's clock is past it.
    fn outdate(&self) -> String {
        let read = number(self.host, self.asked);
        self.host.sh(&format!("touch -d @{} {ROOT}/secrets/{}", read + 1, self.file));
        wait("the next second", || number(self.host, "date +%s") > read);
        let Self { file, name, verb, .. } = self;
        let (since, read) = (time(read + 1), time(read));
        format!(
            "stale-consumer medium secrets/{file}: {name} {verb} after its secrets changed, {since} -> {name} {verb} {read}"
        )
    }
}

#[track_caller]
fn says(ws: &Workspace, expected: &[&str]) -> Value {
    let report = ws.json(&["audit"], if expected.is_empty() { 0 } else { 3 });
    assert_eq!(lines(&report, ws.web1(), &[]), expected);
    report
}

const UNIT: &str = "on_change = { systemd = ['a.service'], do = 'restart' }";
const STARTED: &str = "TZ=UTC0 date -d \"$(TZ=UTC0 systemctl show -P ActiveEnterTimestamp a.service)\" +%s";
const RELOADED: &str = "TZ=UTC0 date -d \"$(TZ=UTC0 systemctl show -P StateChangeTimestamp a.service)\" +%s";

#[test]
fn units_of_systemd() {
    if !is_root() {
        return;
    }
    let Some(cgroup) = Cgroup::new() else { return println!("skipped: needs systemd, and a cgroup of its own") };
    let ws = Workspace::with_host(Spec::default().script(&SYSTEMD.replace("CGROUP", &cgroup.0)));
    let host = ws.web1();
    wait("systemd", || host.sh("systemctl is-system-running || true").trim() == "running");
    host.sh("systemctl start a.service");
    ws.service("cloudflare", UNIT);
    ws.setup();
    says(&ws, &[]);

    let unit = Reader { host, file: "cloudflare.env", name: "a.service", verb: "started", asked: STARTED };
    let stale = unit.outdate();
    let report = says(&ws, &[&stale]);
    assert_eq!(of(&report, "web1")["findings"][0]["fix"], "on the host: systemctl restart -- a.service");
    host.sh("systemctl reload a.service");
    says(&ws, &[&stale]);
    host.sh("systemctl restart a.service");
    says(&ws, &[]);

    // What changes for others is nothing to it.
    let modified = "stat -L -c %Y /opt/callableapis/secrets/cloudflare.env";
    let before = (number(host, modified), number(host, STARTED));
    wait("the next second", || number(host, "date +%s") > before.1);
    ws.set("aws.AWS_ACCESS_KEY_ID", "another service's");
    ws.deploy();
    assert_eq!((number(host, modified), number(host, STARTED)), before);
    says(&ws, &[]);
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.deploy();
    assert!(number(host, STARTED) > before.1);
    says(&ws, &[]);

    // What does not run holds nothing that is old.
    unit.outdate();
    host.sh("systemctl stop a.service");
    says(&ws, &[]);
    host.sh("systemctl start a.service");
    ws.edit_playbook("do = 'restart'", "do = 'reload'");
    let stale = Reader { verb: "last reloaded or started", asked: RELOADED, ..unit }.outdate();
    says(&ws, &[&stale]);
    host.sh("systemctl reload a.service");
    says(&ws, &[]);
    ws.assert_no_leak();
}

/// The program prefers docker; where there is one, it is podman by another name.
const PODMAN: &str = r#"
mkdir -p /var/lib/containers /etc/containers
mount -t tmpfs -o mode=755 tmpfs /var/lib/containers
printf '{"default":[{"type":"insecureAcceptAnything"}]}' > /etc/containers/policy.json
for docker in /usr/local/sbin/docker /usr/local/bin/docker /usr/sbin/docker /usr/bin/docker; do
    [ ! -e $docker ] || mount --bind /usr/bin/podman $docker
done
mkdir -p /run/image/bin
cp /bin/busybox /run/image/bin/sleep
"#;

const RUN: &str = "podman run -d --runtime runc --network=host --ulimit nofile=1024:1024 --ulimit nproc=2048:2048";
const LABELS: &str =
    "--label com.docker.compose.service=api --label com.docker.compose.project.config_files=/srv/api/compose.yml";
const MADE: &str = "date -d \"$(podman inspect -f '{{.Created.Unix}}' one | sed 's/^/@/')\" +%s";
const RESTARTED: &str = "date -d \"$(podman inspect -f '{{.State.StartedAt.Unix}}' two | sed 's/^/@/')\" +%s";

/// Whatever it runs is ended before the host's mounts go.
struct Containers<'a>(&'a Host);

impl Containers<'_> {
    fn sh(&self, script: &str) -> bool {
        let said = self.0.sh(&format!("{{ {script}; }} >/tmp/podman 2>&1 || echo no"));
        if !said.is_empty() {
            println!("podman: {}", self.0.read("/tmp/podman"));
        }
        said.is_empty()
    }
}

impl Drop for Containers<'_> {
    fn drop(&mut self) {
        self.sh("podman rm -f -t 0 -a");
    }
}

#[test]
fn containers_of_podman() {
    if !is_root() {
        return;
    }
    if !Path::new("/usr/bin/podman").exists() || !Path::new("/usr/sbin/runc").exists() {
        return println!("skipped: needs podman and runc");
    }
    let ws = Workspace::with_host(Spec::default().script(PODMAN));
    let host = ws.web1();
    ws.setup();
    let containers = Containers(host);
    let one = format!("{RUN} --name one {LABELS} localhost/x sleep 1000");
    let two = format!("{RUN} --name two localhost/x sleep 1000");
    if !containers.sh(&format!("tar -C /run/image -cf - . | podman import -q - localhost/x && {one} && {two}")) {
        return println!("skipped: podman cannot run here");
    }
    ws.service("api", "on_change = { compose = '/srv/api/compose.yml', recreate = ['api'] }");
    ws.service("cloudflare", "on_change = { command = ['podman', 'restart', '-t', '0', 'two'] }");
    says(&ws, &[]);

    let reader = Reader { host, file: "api.env", name: "one", verb: "made", asked: MADE };
    let stale = reader.outdate();
    says(&ws, &[&stale]);
    // A restart gives it the environment that it was made with.
    assert!(containers.sh("podman restart -t 0 one"));
    says(&ws, &[&stale]);
    assert!(containers.sh(&format!("podman rm -f -t 0 one && {one}")));
    says(&ws, &[]);

    let reader = Reader { host, file: "cloudflare.env", name: "two", verb: "started", asked: RESTARTED };
    says(&ws, &[&reader.outdate()]);
    assert!(containers.sh("podman restart -t 0 two"));
    says(&ws, &[]);
    let before = number(host, RESTARTED);
    wait("the next second", || number(host, "date +%s") > before);
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.deploy();
    assert!(number(host, RESTARTED) > before);
    says(&ws, &[]);
    reader.outdate();
    assert!(containers.sh("podman stop -t 0 two"));
    says(&ws, &[]);
    ws.assert_no_leak();
}

/// They answer as systemd and docker do, out of files that hold when each was started.
const STAND_INS: &str = r#"
mkdir -p usr/local/bin
cat > usr/local/bin/systemctl <<'END'
#!/bin/sh
case $1 in
show)
    at=$(date -u -d "@$(cat /tmp/unit)" '+%a %Y-%m-%d %H:%M:%S UTC')
    printf 'ActiveState=active\nActiveEnterTimestamp=%s\nStateChangeTimestamp=%s\n' "$at" "$at"
    ;;
restart) date +%s > /tmp/unit ;;
esac
END
cat > usr/local/bin/docker <<'END'
#!/bin/sh
case $1 in
ps) echo 0123456789abcdef ;;
inspect)
    at=$(date -u -d "@$(cat /tmp/container)" +%Y-%m-%dT%H:%M:%S.5Z)
    printf 'true "%s" "%s" /one\n' "$at" "$at"
    ;;
compose) date +%s > /tmp/container ;;
esac
END
chmod 755 usr/local/bin/*
date +%s | tee tmp/unit > tmp/container
"#;

#[test]
fn stand_ins_on_a_host_with_nothing_but_busybox() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::busybox().script(STAND_INS));
    let host = ws.web1();
    ws.service("cloudflare", UNIT);
    ws.service("api", "on_change = { compose = '/srv/api/compose.yml', recreate = ['api'] }");
    ws.setup();
    host.sh("/usr/local/bin/systemctl restart; /usr/local/bin/docker compose");
    says(&ws, &[]);
    let unit = Reader { host, file: "cloudflare.env", name: "a.service", verb: "started", asked: "cat /tmp/unit" };
    let container = Reader { host, file: "api.env", name: "one", verb: "made", asked: "cat /tmp/container" };
    for (reader, mend) in [(unit, "/usr/local/bin/systemctl restart"), (container, "/usr/local/bin/docker compose")] {
        says(&ws, &[&reader.outdate()]);
        host.sh(mend);
        says(&ws, &[]);
    }
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.set("api.API_PORT", "81");
    ws.deploy();
    says(&ws, &[]);
    // A daemon that hangs: the stand-in ends as timeout(1) would, which is 143 for the busybox of Debian.
    for status in [124, 143] {
        host.sh(&format!("printf '#!/bin/sh\\nexit {status}\\n' > /usr/local/bin/docker"));
        let report = ws.json(&["audit"], 2);
        assert!(error(&report, "web1").starts_with("exec: systemd or docker did not say in time"), "{report:#}");
    }
    ws.assert_no_leak();
}
