//! PostgreSQL behind a fleet that never stops logging in: two roles in turn, and one role whose password changes at once.

use crate::fleet_in_use::{FleetInUse, live, uses};
use crate::postgres::Postgres;
use crate::workspace::{is_root, wait};
use std::fs;
use std::path::PathBuf;

const TWO_ROLES: &str = r#"
[[play.service]]
name = "db"
health = { command = ["/bin/sh", "-c", "test ! -e /srv/sick"], within = "1s" }

[[rotate]]
secrets  = ["db.DATABASE_URL"]
every    = "30d"
generate = "command"
overlap  = "2s"
[rotate.steps]
generate = ["rotators/postgres", "generate"]
set      = ["rotators/postgres", "set"]
test     = ["rotators/postgres", "test"]
undo     = ["rotators/postgres", "undo"]
revoke   = ["rotators/postgres", "revoke"]
"#;

const ONE_ROLE: &str = r#"
[[play.service]]
name = "db"
health = { command = ["/bin/sh", "/srv/health"], within = "20s" }

[[rotate]]
secrets  = ["db.DB_PASSWORD"]
generate = "password:40"
[rotate.steps]
set  = ["rotators/postgres", "set", "--role", "app", "--host", "ADDRESS", "--port", "PORT"]
test = ["rotators/postgres", "test", "--role", "app", "--host", "ADDRESS", "--port", "PORT"]
undo = ["rotators/postgres", "undo", "--role", "app", "--host", "ADDRESS", "--port", "PORT"]
"#;

/// A server that also knows `probe`, with whom psql comes in before it is told where to go. That password is no secret.
fn started() -> Option<Postgres> {
    if !is_root() || !Postgres::is_possible() {
        return None;
    }
    let postgres = Postgres::start();
    postgres.sql("CREATE ROLE probe LOGIN PASSWORD 'probe'");
    Some(postgres)
}

/// Shell that runs psql over a file.
fn psql(postgres: &Postgres, script: &str) -> String {
    let Postgres { address, port, .. } = postgres;
    format!(
        "PGHOST={address} PGPORT={port} PGUSER=probe PGPASSWORD=probe PGDATABASE=postgres PGCONNECT_TIMEOUT=10 \
         psql -X -q -A -t -w -v ON_ERROR_STOP=1 -f {script}"
    )
}

/// The file is read when the connection is made, and what is in it goes from psql to the server and nowhere else.
fn login(sed: &str) -> String {
    format!(
        "\\set url `sed -n '{sed}' {}`\n\\connect -reuse-previous=off :url\nSELECT 'ok ' || current_user;\n",
        live("db.env")
    )
}

const URL: &str = "s/^DATABASE_URL=//p";

/// Two roles, a fleet that has the URL of the first, and the URL.
fn two_roles(postgres: &Postgres) -> FleetInUse {
    let fleet = FleetInUse::new(postgres.admin_env(), TWO_ROLES);
    postgres.make_role("app_a", &fleet.ws.poison);
    postgres.sql("CREATE ROLE app_b NOLOGIN");
    fleet.begin("db.DATABASE_URL", &postgres.url("app_a", &fleet.ws.poison));
    fleet.write("/srv/login.sql", &login(URL));
    fleet.consume(&psql(postgres, "/srv/login.sql"));
    fleet
}

/// One connection a host that stays open.
struct Held<'a> {
    postgres: &'a Postgres,
    backends: String,
}

impl<'a> Held<'a> {
    fn by(fleet: &FleetInUse, postgres: &'a Postgres) -> Self {
        fleet.write("/srv/held.sql", &login(URL).replace(";\n", " \\watch 0.1\n"));
        let psql = psql(postgres, "/srv/held.sql");
        for host in &fleet.ws.hosts {
            host.sh(&format!("PGAPPNAME=held {psql} < /dev/null > /dev/null 2>&1 &"));
        }
        let held = Self { postgres, backends: String::new() };
        wait("connections that are held", || held.now().split(' ').count() == 3);
        Self { backends: held.now(), ..held }
    }

    fn now(&self) -> String {
        let held = "FROM pg_stat_activity WHERE application_name = 'held' AND usename = 'app_a'";
        self.postgres.sql(&format!("SELECT string_agg(pid::text, ' ' ORDER BY pid) {held}"))
    }

    /// They are the same as at first, and still ask and are answered.
    #[track_caller]
    fn assert_open(&self) {
        let asked = "SELECT coalesce(min(query_start), 'epoch') FROM pg_stat_activity WHERE application_name = 'held'";
        let before = self.postgres.sql("SELECT now()");
        wait("what is asked anew", || self.postgres.sql(&format!("SELECT ({asked}) > '{before}'")) == "t");
        assert_eq!(self.now(), self.backends);
    }
}

fn places(postgres: &Postgres) -> Vec<PathBuf> {
    vec![postgres.socket_dir()]
}

fn password(url: &str) -> String {
    url.split([':', '@']).nth(2).unwrap().to_owned()
}

/// The roles that may log in.
fn valid(postgres: &Postgres) -> String {
    postgres
        .sql("SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'app%' AND rolcanlogin")
}

#[test]
fn no_login_fails_while_two_roles_take_turns() {
    let Some(postgres) = started() else { return };
    let fleet = two_roles(&postgres);
    let held = Held::by(&fleet, &postgres);
    let mut old = postgres.url("app_a", &fleet.ws.poison);
    let mut passwords = Vec::new();
    for role in ["app_b", "app_a", "app_b"] {
        let told = fleet.rotation(&["rotate", "--secret", "db.DATABASE_URL"], 0);
        assert_eq!((&told["state"], &told["secrets"][0]["provider"]), (&"done".into(), &"both".into()), "{told:#}");
        let new = fleet.ws.value("db.DATABASE_URL");
        assert!(new.starts_with(&format!("postgresql://{role}:")), "another role's turn");
        fleet.assert_live("db.env", &format!("DATABASE_URL={new}\n"));
        assert!(postgres.lets_in_by(&old) && postgres.lets_in_by(&new), "both during the overlap");
        fleet.used_again();
        fleet.revoke("db.DATABASE_URL");
        assert!(!postgres.lets_in_by(&old) && postgres.lets_in_by(&new), "only the new one");
        assert_eq!(valid(&postgres), role);
        fleet.used_again();
        passwords.push(password(&new));
        old = new;
    }
    for host in &fleet.ws.hosts {
        let used = uses(host);
        assert!(["ok app_a", "ok app_b"].iter().all(|line| used.iter().any(|used| used == line)), "{}", host.name);
    }
    fleet.assert_never_failed();
    held.assert_open();
    // A consumer that never sees a failure would prove nothing.
    postgres.sql("ALTER ROLE app_b NOLOGIN");
    let refused = fleet.ws.web1().sh(&format!("{} 2>&1 || true", psql(&postgres, "/srv/login.sql")));
    assert!(refused.contains("app_b") && !refused.starts_with("ok"), "{refused}");
    assert!(postgres.log().contains("SCRAM-SHA-256$4096:"), "statements are in the log");
    fleet.assert_silent(&passwords, &places(&postgres));
}

#[test]
fn no_login_fails_while_a_rotation_is_put_back() {
    let Some(postgres) = started() else { return };
    let fleet = two_roles(&postgres);
    let url = postgres.url("app_a", &fleet.ws.poison);
    let roles = "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid WHERE rolname LIKE 'app%' ORDER BY 1";
    let before = postgres.sql(roles);
    fleet.ws.host("web2").sh("touch /srv/sick");
    let report = fleet.ws.json(&["rotate", "--secret", "db.DATABASE_URL"], 2);
    let told = &report["rotation"];
    assert_eq!((&told["state"], &told["secrets"][0]["provider"]), (&"put-back".into(), &"old".into()), "{told:#}");
    let why = told["message"].as_str().unwrap();
    assert!(why.contains("web2: health: ") && why.contains("3 hosts have the old values"), "{why}");
    fleet.used_again();
    assert!(postgres.lets_in_by(&url));
    assert_eq!(postgres.sql(roles), before);
    fleet.assert_live("db.env", &format!("DATABASE_URL={url}\n"));
    let used = uses(fleet.ws.web1());
    assert!(used.iter().any(|line| line == "ok app_b"), "the canary had the new URL for a while");
    // The cause is mended, and the same command again goes through: another password for the same role.
    fleet.ws.host("web2").sh("rm /srv/sick");
    fleet.rotation(&["rotate", "--secret", "db.DATABASE_URL"], 0);
    fleet.used_again();
    let new = fleet.ws.value("db.DATABASE_URL");
    fleet.assert_never_failed();
    let dropped = fleet.ws.archived("history/*/services/db.env");
    let dropped =
        dropped.lines().filter_map(|line| line.strip_prefix("DATABASE_URL=")).find(|one| one.contains("app_b:"));
    let dropped = dropped.expect("the new URL that was dropped is in the history");
    assert!(postgres.lets_in_by(&new) && !postgres.lets_in_by(dropped));
    fleet.assert_silent(&[password(&new), password(dropped)], &places(&postgres));
}

/// A fleet that has the password of the one role.
fn one_role(postgres: &Postgres, change: (&str, &str)) -> FleetInUse {
    let policy = ONE_ROLE.replace(change.0, change.1);
    let policy = policy.replace("ADDRESS", &postgres.address).replace("PORT", &postgres.port.to_string());
    let fleet = FleetInUse::new(postgres.admin_env(), &policy);
    postgres.make_role("app", &fleet.ws.poison);
    fleet.write("/srv/login.sql", &login(&format!(r"s|^DB_PASSWORD=\(.*\)|{}|p", postgres.url("app", r"\1"))));
    fleet.write("/srv/health", &format!("{} >> /srv/used 2>&1", psql(postgres, "/srv/login.sql")));
    fleet.begin("db.DB_PASSWORD", &fleet.ws.poison);
    fleet
}

#[test]
fn one_role_and_a_health_check_that_logs_in() {
    let Some(postgres) = started() else { return };
    let fleet = one_role(&postgres, ("20s", "21s"));
    let told = fleet.rotation(&["rotate", "--secret", "db.DB_PASSWORD"], 0);
    assert_eq!((&told["state"], &told["secrets"][0]["provider"]), (&"done".into(), &"new".into()), "{told:#}");
    let new = fleet.ws.value("db.DB_PASSWORD");
    assert!(postgres.lets_in("app", &new) && !postgres.lets_in("app", &fleet.ws.poison));
    fleet.assert_live("db.env", &format!("DB_PASSWORD={new}\n"));
    for host in &fleet.ws.hosts {
        assert_eq!(uses(host).last().unwrap(), "ok app", "health logged in on {}", host.name);
    }
    fleet.assert_silent(&[new], &places(&postgres));
}

#[test]
fn one_role_whose_new_password_is_not_proved() {
    let Some(postgres) = started() else { return };
    let broken = r#"test = ["sh", "-c", "cat; exit 3"]"#;
    let fleet = one_role(&postgres, (ONE_ROLE.lines().find(|line| line.starts_with("test")).unwrap(), broken));
    let used: Vec<usize> = fleet.ws.hosts.iter().map(|host| uses(host).len()).collect();
    let snapshots: Vec<_> = fleet.ws.hosts.iter().map(|host| host.snapshot()).collect();
    let told = fleet.rotation(&["rotate", "--secret", "db.DB_PASSWORD"], 2);
    assert_eq!((&told["state"], &told["secrets"][0]["provider"]), (&"put-back".into(), &"old".into()), "{told:#}");
    assert!(told["message"].as_str().unwrap().contains("`test` of db.DB_PASSWORD"), "{told:#}");
    let dropped = fleet.ws.archived("history/*/services/db.env");
    let dropped = dropped.lines().find_map(|line| line.strip_prefix("DB_PASSWORD=")).unwrap();
    assert_ne!(dropped, fleet.ws.poison);
    assert!(postgres.lets_in("app", &fleet.ws.poison) && !postgres.lets_in("app", dropped));
    for ((host, used), snapshot) in fleet.ws.hosts.iter().zip(used).zip(snapshots) {
        assert_eq!((uses(host).len(), host.snapshot()), (used, snapshot), "nobody visited {}", host.name);
    }
    fleet.assert_silent(&[dropped.to_owned()], &places(&postgres));
}

#[test]
fn one_role_and_a_host_that_does_not_get_well() {
    let Some(postgres) = started() else { return };
    let fleet = one_role(&postgres, ("within = \"20s\"", "within = \"3s\""));
    let health = fleet.ws.web1().read("/srv/health");
    fs::write(fleet.ws.host("web2").path("/srv/health"), format!("test ! -e /srv/sick && {health}")).unwrap();
    fleet.ws.host("web2").sh("touch /srv/sick");
    let told = fleet.rotation(&["rotate", "--secret", "db.DB_PASSWORD"], 2);
    println!("{told:#}");
    assert_eq!((&told["state"], &told["secrets"][0]["provider"]), (&"put-back".into(), &"old".into()), "{told:#}");
    let dropped = fleet.ws.archived("history/*/services/db.env");
    let dropped = dropped.lines().find_map(|line| line.strip_prefix("DB_PASSWORD=")).unwrap();
    assert!(postgres.lets_in("app", &fleet.ws.poison) && !postgres.lets_in("app", dropped));
    fleet.assert_live("db.env", &format!("DB_PASSWORD={}\n", fleet.ws.poison));
    assert_eq!(uses(fleet.ws.web1()).last().unwrap(), "ok app", "health logged in with the old password again");
    fleet.ws.host("web2").sh("rm /srv/sick");
    assert_eq!(fleet.ws.deploy()["summary"]["failed"], 0);
    fleet.assert_silent(&[dropped.to_owned()], &places(&postgres));
}
