//! Redis behind a fleet that never stops asking: a user with two passwords for as long as both are in use.

use crate::fleet_in_use::{FleetInUse, live};
use crate::redis::Redis;
use crate::workspace::{is_root, wait};
use nix::sys::signal::Signal;

const POLICY: &str = r#"
[[play.service]]
name = "redis"
on_change = { command = ["/bin/sh", "-c", "test ! -e /srv/hold || read -r line < /srv/gate"] }

[[rotate]]
secrets  = ["redis.REDIS_PASSWORD"]
every    = "30d"
generate = "password:40"
overlap  = "2s"
[rotate.steps]
set    = ["rotators/redis", "set", "--user", "app", "--host", "ADDRESS", "--port", "PORT"]
test   = ["rotators/redis", "test", "--user", "app", "--host", "ADDRESS", "--port", "PORT"]
undo   = ["rotators/redis", "undo", "--user", "app", "--host", "ADDRESS", "--port", "PORT"]
revoke = ["rotators/redis", "revoke", "--user", "app", "--host", "ADDRESS", "--port", "PORT"]
"#;

const SECRET: &str = "redis.REDIS_PASSWORD";

/// A server whose user `app` has the poison for a password, and a fleet that uses it.
fn started() -> Option<(Redis, FleetInUse)> {
    if !is_root() || !Redis::is_possible() {
        return None;
    }
    let redis = Redis::start();
    let fleet = FleetInUse::new(
        Vec::new(),
        &POLICY.replace("ADDRESS", &redis.address).replace("PORT", &redis.port.to_string()),
    );
    redis.ask(&format!("ACL SETUSER app on >{} ~* +@all\r\nACL SAVE", fleet.ws.poison));
    fleet.begin(SECRET, &fleet.ws.poison);
    fleet.consume(&ping(&redis));
    Some((redis, fleet))
}

/// The password goes from its file to redis-cli over a pipe.
fn ping(redis: &Redis) -> String {
    let auth = format!("sed -n 's/^REDIS_PASSWORD=/AUTH app /p' {}; echo PING", live("redis.env"));
    let Redis { address, port, .. } = redis;
    format!(
        "set -- $({{ {auth}; }} | redis-cli -h {address} -p {port} 2>&1)\n\
         if test \"$*\" = 'OK PONG'; then echo ok; else echo \"failed: $*\"; fi"
    )
}

#[test]
fn no_login_fails_while_both_passwords_are_valid() {
    let Some((redis, fleet)) = started() else { return };
    let mut old = fleet.ws.poison.clone();
    let mut passwords = Vec::new();
    for _ in 0..3 {
        let told = fleet.rotation(&["rotate", "--secret", SECRET], 0);
        assert_eq!((&told["state"], &told["secrets"][0]["provider"]), (&"done".into(), &"both".into()), "{told:#}");
        let new = fleet.ws.value(SECRET);
        fleet.assert_live("redis.env", &format!("REDIS_PASSWORD={new}\n"));
        assert!(redis.lets_in("app", &old) && redis.lets_in("app", &new), "both during the overlap");
        fleet.used_again();
        fleet.revoke(SECRET);
        assert!(!redis.lets_in("app", &old) && redis.lets_in("app", &new), "only the new one");
        assert_eq!(passwords_saved(&redis), 1);
        fleet.used_again();
        passwords.push(new.clone());
        old = new;
    }
    fleet.assert_never_failed();
    fleet.assert_silent(&passwords, &[redis.dir()]);
}

#[test]
fn no_login_fails_while_an_interrupted_rotation_is_aborted() {
    let Some((redis, fleet)) = started() else { return };
    let users = redis.users();
    let web2 = fleet.ws.host("web2");
    web2.sh("touch /srv/hold");
    let rotate = fleet.ws.spawn(&["rotate", "--secret", SECRET, "-o", "json"]);
    wait("the action on web2", || web2.processes().iter().any(|(_, line)| line.contains("/srv/gate")));
    fleet.used_again();
    rotate.signal(Signal::SIGINT);
    wait("the answer to the signal", || rotate.stderr().contains("interrupted"));
    web2.sh("rm /srv/hold; echo opened > /srv/gate");
    let told = rotate.wait().expect(130).report()["rotation"].clone();
    assert_eq!(told["state"], "under-way", "{told:#}");
    let new = env_value(&fleet.ws.archived("pending/services/redis.env"));
    assert_eq!(fleet.ws.value(SECRET), fleet.ws.poison, "not committed");
    assert!(redis.lets_in("app", &fleet.ws.poison) && redis.lets_in("app", &new), "both");
    assert_eq!(env_value(&fleet.ws.web1().read(&live("redis.env"))), new);
    fleet.used_again();
    let told = fleet.rotation(&["rotate", "--abort"], 0);
    assert_eq!((&told["state"], &told["secrets"][0]["provider"]), (&"aborted".into(), &"old".into()), "{told:#}");
    fleet.assert_live("redis.env", &format!("REDIS_PASSWORD={}\n", fleet.ws.poison));
    assert!(redis.lets_in("app", &fleet.ws.poison) && !redis.lets_in("app", &new), "only the old one");
    assert_eq!(redis.users(), users);
    fleet.used_again();
    fleet.assert_never_failed();
    fleet.assert_silent(&[new], &[redis.dir()]);
}

/// How many passwords the user has in the file that outlives the server.
fn passwords_saved(redis: &Redis) -> usize {
    let users = redis.users();
    let app = users.lines().find(|line| line.starts_with("user app ")).unwrap();
    app.split(' ').filter(|word| word.starts_with('#')).count()
}

fn env_value(text: &str) -> String {
    text.lines().find_map(|line| line.strip_prefix("REDIS_PASSWORD=")).unwrap().to_owned()
}
