//! Plans of rotations over small fleets.

use super::*;
use crate::playbook::SecretGlob;

/// Three hosts, two of them in `web`; all get api and tls, only db1 gets db.
const INVENTORY: &str = "[hosts]\nweb1.groups=['web']\nweb2.groups=['web']\ndb1={}\nstranger={}\n";
const PLAYS: &str = "
    [[play]]
    name = 'main'
    hosts = 'all'
    root = '/opt/main'
    service = [
        { name = 'api', on_change = { command = ['true'] } },
        { name = 'tls', format = 'raw' },
        { name = 'db', hosts = 'db1' },
        { name = 'union', include = ['api'] },
    ]
";

struct Fleet {
    inventory: Inventory,
    playbook: Playbook,
    bundle: Bundle,
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn at(day: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(day * 86_400, 0).unwrap()
}

/// All but `stranger` are enrolled; every value is from the first day.
fn fleet(policies: &str) -> Fleet {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name)
    };
    let playbook = Playbook::load(&file("p.toml", &format!("{PLAYS}{policies}"))).unwrap();
    let inventory = Inventory::load(&file("i.toml", INVENTORY)).unwrap();
    let mut bundle = Bundle::create(Vec::new(), at(0), &mut |bytes| bytes.fill(1)).unwrap();
    for secret in ["api.KEY", "api.SESSION_A", "api.SESSION_B", "tls/key.pem", "tls/public.pem", "db.PASSWORD"] {
        bundle.set(&name(secret), Secret::new(format!("old {secret}")), at(0));
    }
    for host in ["web1", "web2", "db1"] {
        bundle.pin(&host.parse().unwrap(), vec!["ssh-ed25519 AAAA".to_owned()], at(0));
    }
    Fleet { inventory, playbook, bundle }
}

fn policy(secrets: &str, more: &str) -> String {
    format!("[[rotate]]\nsecrets = [{secrets}]\ngenerate = 'hex:16'\n{more}\n")
}

impl Fleet {
    fn with(mut self, secret: &str, value: &str) -> Self {
        self.bundle.set(&name(secret), Secret::new(value), at(0));
        self
    }

    fn ground(&self, now: DateTime<Utc>) -> Ground<'_, '_> {
        Ground { inventory: &self.inventory, playbook: &self.playbook, bundle: &self.bundle, now }
    }

    fn plan(&self, selection: &Selection, hosts: Option<&[&str]>, day: i64) -> Result<RotationPlan<'_>> {
        let limit = hosts.map(|hosts| hosts.iter().map(|host| host.parse().unwrap()).collect());
        RotationPlan::new(self.ground(at(day)), selection, limit.as_ref())
    }

    /// `secret: holders (why)`, a line each, and `- secret: why; command` of what is skipped.
    #[track_caller]
    fn text(&self, selection: &Selection, hosts: Option<&[&str]>, day: i64) -> String {
        let plan = self.plan(selection, hosts, day).unwrap();
        let turn = |planned: &PlannedTurn| {
            let holders: Vec<&str> = planned.holders.iter().map(HostName::as_str).collect();
            format!("{}: {} ({})", planned.turn.name, holders.join(" "), planned.why)
        };
        let skip = |skipped: &SkippedSecret| {
            format!("- {}: {}; {}", skipped.name, skipped.why, skipped.command.as_deref().unwrap_or_default())
        };
        plan.turns.iter().map(turn).chain(plan.skipped.iter().map(skip)).collect::<Vec<_>>().join("\n")
    }

    #[track_caller]
    fn refusal(&self, selection: &Selection) -> String {
        let error = self.plan(selection, None, 100).unwrap_err();
        format!("{error}; {}", error.hints().join("; "))
    }
}

fn all() -> Selection {
    Selection { all: true, ..Selection::default() }
}

fn secret(glob: &str) -> Selection {
    Selection { secrets: vec![glob.parse::<SecretGlob>().unwrap()], ..Selection::default() }
}

fn leak(fleet: &Fleet, text: &str) -> Selection {
    Selection { leaks: vec![Leak::named(text, fleet.ground(at(100))).unwrap()], ..Selection::default() }
}

#[test]
fn what_is_old_enough_is_due() {
    let fleet = fleet(&policy("'api.*'", "every = '90d'"));
    let due = Selection::default();
    assert_eq!(fleet.text(&due, None, 89), "");
    assert_eq!(
        fleet.text(&due, None, 90),
        "api.KEY: web1 web2 db1 (90d old, every 90d)\napi.SESSION_A: web1 web2 db1 (90d old, every 90d)\n\
         api.SESSION_B: web1 web2 db1 (90d old, every 90d)"
    );
}

#[test]
fn the_age_begins_with_the_last_rotation() {
    let mut fleet = fleet(&policy("'api.KEY'", "every = '10d'"));
    fleet.bundle.set(&name("api.KEY"), Secret::new("newer"), at(5));
    assert_eq!(fleet.text(&Selection::default(), None, 14), "");
    assert_eq!(fleet.text(&Selection::default(), None, 15), "api.KEY: web1 web2 db1 (10d old, every 10d)");
}

#[test]
fn what_nobody_dated_is_due_and_what_is_from_tomorrow_is_told() {
    let mut fleet = fleet(&policy("'api.KEY', 'api.SESSION_A'", "every = '90d'"));
    fleet.bundle.describe(&name("api.KEY"), |known| *known = crate::bundle::Metadata::default());
    fleet.bundle.set(&name("api.SESSION_A"), Secret::new("x"), at(5));
    assert_eq!(
        fleet.text(&Selection::default(), None, 1),
        "api.KEY: web1 web2 db1 (of unknown age, every 90d)\n\
         - api.SESSION_A: its value is from 1970-01-06 00:00 UTC, which lies in the future: is the clock right?; \
         distribute rotate --secret api.SESSION_A"
    );
    let plan = fleet.plan(&Selection::default(), None, 1).unwrap();
    assert!(plan.skipped[0].is_missed, "it is an answer that nobody should overlook");
    assert!(fleet.text(&secret("api.SESSION_A"), None, 1).starts_with("api.SESSION_A: "), "whoever names it gets it");
}

#[test]
fn what_is_due_next_is_told() {
    let fleet = fleet(&(policy("'api.KEY'", "every = '90d'") + &policy("'db.PASSWORD'", "every = '30d'")));
    let next = |day| fleet.plan(&Selection::default(), None, day).unwrap().next;
    let in_days = |days: u64| Period::from_secs(days * 86_400);
    assert_eq!(next(1), Some((name("db.PASSWORD"), in_days(29))));
    assert_eq!(next(40), Some((name("api.KEY"), in_days(50))), "of those that are not due");
    assert_eq!(next(90), None);
}

#[test]
fn clocks_may_differ_by_minutes() {
    let fleet = fleet(&policy("'api.KEY'", "every = '1d'"));
    let ground = |seconds| fleet.ground(at(0) - chrono::Duration::seconds(seconds));
    assert!(RotationPlan::new(ground(300), &Selection::default(), None).unwrap().skipped.is_empty());
    assert_eq!(RotationPlan::new(ground(301), &Selection::default(), None).unwrap().skipped.len(), 1);
}

#[test]
fn the_policy_says_how_often_before_the_bundle_does() {
    let mut fleet = fleet(&(policy("'api.KEY'", "every = '90d'") + &policy("'db.PASSWORD', 'api.SESSION_A'", "")));
    for secret in ["api.KEY", "db.PASSWORD"] {
        fleet.bundle.describe(&name(secret), |known| known.rotate_every = Some("1d".parse().unwrap()));
    }
    assert_eq!(fleet.text(&Selection::default(), None, 2), "db.PASSWORD: db1 (2d old, every 1d)");
}

#[test]
fn the_plan_names_who_holds_it_and_who_acts() {
    let fleet = fleet(&policy("'api.KEY', 'db.PASSWORD'", ""));
    let plan = fleet.plan(&all(), None, 1).unwrap();
    let services =
        |planned: &PlannedTurn| planned.services.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(" ");
    assert_eq!((services(&plan.turns[0]), services(&plan.turns[1])), ("api union".into(), "db".into()));
    assert_eq!(plan.turns[0].acting, ["api".parse().unwrap()]);
    assert!(plan.turns[1].acting.is_empty());
    assert_eq!(plan.turns[1].old, Some(Secret::new("old db.PASSWORD")));
    let hosts = |plan: &RotationPlan| plan.hosts(&fleet.inventory).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(hosts(&plan), ["web1", "web2", "db1"], "each once, in inventory order, and nobody who is not enrolled");
    assert_eq!(hosts(&fleet.plan(&secret("db.*"), None, 1).unwrap()), ["db1"]);
}

#[test]
fn who_has_an_override_does_not_hold_the_common_value() {
    let fleet =
        fleet(&policy("'api.KEY'", "")).with("groups/web/api.KEY", "of web").with("hosts/web2/api.KEY", "of web2");
    assert_eq!(
        fleet.text(&all(), None, 1),
        "api.KEY: db1 (named)\ngroups/web/api.KEY: web1 (named)\nhosts/web2/api.KEY: web2 (named)"
    );
}

#[test]
fn a_shared_secret_is_never_split() {
    let fleet = fleet(&policy("'api.KEY', 'db.PASSWORD'", ""));
    let shared = "- api.KEY: web2, db1 would keep the old value: it is shared; distribute rotate --secret api.KEY";
    assert_eq!(fleet.text(&all(), Some(&["web1"]), 1), shared, "and that of another host is not even told");
    assert_eq!(
        fleet.text(&all(), Some(&["db1"]), 1),
        "db.PASSWORD: db1 (named)\n- api.KEY: web1, web2 would keep the old value: it is shared; \
         distribute rotate --secret api.KEY"
    );
    assert_eq!(fleet.text(&secret("api.KEY"), Some(&["web1"]), 1), shared, "nor is one that was named");
    assert_eq!(fleet.text(&secret("api.KEY"), Some(&["web1", "web2", "db1"]), 1), "api.KEY: web1 web2 db1 (named)");
    assert_eq!(fleet.text(&all(), Some(&["stranger"]), 1), "");
}

#[test]
fn a_group_that_was_named_whole_gets_its_own_value() {
    let fleet = fleet(&policy("'api.KEY'", "")).with("groups/web/api.KEY", "of web");
    assert_eq!(fleet.text(&all(), Some(&["web1", "web2"]), 1), "groups/web/api.KEY: web1 web2 (named)");
    assert_eq!(
        fleet.text(&all(), Some(&["web1"]), 1),
        "- groups/web/api.KEY: web2 would keep the old value: it is shared; distribute rotate --secret groups/web/api.KEY"
    );
}

#[test]
fn one_value_for_each_host() {
    let fleet = fleet(&policy("'api.KEY'", "scope = 'host'\nevery = '90d'")).with("hosts/web2/api.KEY", "its own");
    assert_eq!(
        fleet.text(&Selection::default(), None, 90),
        "hosts/web1/api.KEY: web1 (90d old, every 90d)\nhosts/web2/api.KEY: web2 (90d old, every 90d)\n\
         hosts/db1/api.KEY: db1 (90d old, every 90d)"
    );
    assert_eq!(fleet.text(&all(), Some(&["web2"]), 1), "hosts/web2/api.KEY: web2 (named)");
    let plan = fleet.plan(&all(), None, 1).unwrap();
    let old: Vec<_> = plan.turns.iter().map(|planned| planned.old.clone().unwrap()).collect();
    assert_eq!(old, [Secret::new("old api.KEY"), Secret::new("its own"), Secret::new("old api.KEY")]);
    assert_eq!(plan.turns[1].host.as_ref().unwrap().as_str(), "web2");
}

#[test]
fn a_secret_has_one_policy() {
    let fleet = fleet(&(policy("'api.SESSION_*'", "") + &policy("'api.SESSION_B', 'api.KEY'", "")));
    let said = fleet.refusal(&Selection::default());
    assert!(said.contains("api.SESSION_B is already rotated by the policy at ") && said.contains("p.toml:"), "{said}");
    assert!(said.contains("a secret has one policy"), "{said}");
}

#[test]
fn a_policy_names_secrets_that_there_are() {
    let said = fleet(&policy("'api.KEY', 'api.SESION_A'", "")).refusal(&Selection::default());
    assert!(said.contains("the bundle has no secret `api.SESION_A`"), "{said}");
    assert!(said.contains("did you mean `api.SESSION_A`?") && said.contains("p.toml:"), "{said}");
}

#[test]
fn a_public_half_that_the_bundle_knows_goes_along() {
    for (generate, public) in [("ed25519", Some(name("tls/public.pem"))), ("hex:16", None)] {
        let mut fleet = fleet(&format!("[[rotate]]\nsecrets = ['tls/key.pem']\ngenerate = '{generate}'\n"));
        fleet.bundle.describe(&name("tls/key.pem"), |known| known.public = Some(name("tls/public.pem")));
        let plan = fleet.plan(&all(), None, 1).unwrap();
        assert_eq!(plan.turns[0].turn.public, public, "{generate}");
    }
}

#[test]
fn a_public_half_is_nobody_elses() {
    let pair = "generate = 'ed25519'\npublic = 'tls/public.pem'\n";
    let good = format!("[[rotate]]\nsecrets = ['tls/key.pem']\n{pair}");
    let fleet_of_pair = fleet(&good);
    let plan = fleet_of_pair.plan(&all(), None, 1).unwrap();
    assert_eq!(plan.turns[0].turn.public, Some(name("tls/public.pem")));
    assert_eq!(plan.turns[0].old_public, Some(Secret::new("old tls/public.pem")));
    for bad in [
        format!("{good}{}", policy("'tls/public.pem'", "")),
        format!("{}{good}", policy("'tls/public.pem'", "")),
        format!("[[rotate]]\nsecrets = ['tls/*']\n{pair}"),
    ] {
        let said = fleet(&bad).refusal(&Selection::default());
        assert!(said.contains("tls/public.pem") && said.contains("p.toml:"), "{bad}: {said}");
    }
    let said = fleet(&format!("{good}[[rotate]]\nsecrets = ['api.KEY']\n{pair}")).refusal(&Selection::default());
    assert!(said.contains("p.toml:") && said.contains("api.KEY: a key pair has several lines"), "{said}");
}

#[test]
fn what_a_host_could_read() {
    let fleet = fleet(&policy("'api.*'", "every = '90d'"));
    let plan = fleet.plan(&leak(&fleet, "db1"), None, 1).unwrap();
    let turns: Vec<String> = plan.turns.iter().map(|planned| planned.turn.name.to_string()).collect();
    assert_eq!(turns, ["api.KEY", "api.SESSION_A", "api.SESSION_B"]);
    assert_eq!(plan.turns[0].why, "db1 could read it");
    let skipped: Vec<String> = plan.skipped.iter().map(|skipped| skipped.name.to_string()).collect();
    assert_eq!(skipped, ["db.PASSWORD", "tls/key.pem", "tls/public.pem"]);
    assert!(plan.skipped.iter().all(|skipped| skipped.is_missed && skipped.why.contains("no [[rotate]] policy")));
    let skipped = fleet.plan(&leak(&fleet, "web1"), None, 1).unwrap().skipped;
    assert!(!skipped.iter().any(|skipped| skipped.name == name("db.PASSWORD")), "web1 could not read that");
}

#[test]
fn of_values_for_each_host_those_are_replaced_that_the_host_could_read() {
    let fleet = fleet(&(policy("'api.KEY'", "scope = 'host'") + &policy("'db.PASSWORD'", "")))
        .with("hosts/web2/api.KEY", "its own")
        .with("hosts/db1/api.KEY", "its own too");
    let turns = |host: &str| {
        let plan = fleet.plan(&leak(&fleet, host), None, 1).unwrap();
        plan.turns.iter().map(|planned| planned.turn.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(turns("web1"), ["hosts/web1/api.KEY"]);
    assert_eq!(turns("web2"), ["hosts/web2/api.KEY"]);
    assert_eq!(turns("db1"), ["hosts/db1/api.KEY", "db.PASSWORD"]);
}

#[test]
fn who_still_has_the_common_value_is_rotated_when_another_host_could_read_it() {
    let fleet = fleet(&policy("'api.KEY'", "scope = 'host'")).with("hosts/db1/api.KEY", "its own");
    let plan = fleet.plan(&leak(&fleet, "web1"), None, 1).unwrap();
    let turns: Vec<String> = plan.turns.iter().map(|planned| planned.turn.name.to_string()).collect();
    assert_eq!(turns, ["hosts/web1/api.KEY", "hosts/web2/api.KEY"]);
}

#[test]
fn typos_are_named_with_the_nearest() {
    let fleet = fleet(&policy("'api.KEY'", ""));
    let said = fleet.refusal(&secret("api.KYE"));
    assert!(said.contains("`api.KYE`") && said.contains("did you mean `api.KEY`?"), "{said}");
    let said = fleet.refusal(&secret("api.SESSION_A"));
    assert!(said.contains("no policy rotates `api.SESSION_A`"), "{said}");
    let service = Selection { services: vec!["apo".parse().unwrap()], ..Selection::default() };
    assert!(fleet.refusal(&service).contains("did you mean `api`?"));
    let error = Leak::named("webb1", fleet.ground(at(1))).unwrap_err();
    assert!(error.hints()[0].contains("did you mean `web1`?"));
}

#[test]
fn while_the_value_before_is_accepted_there_is_no_next() {
    let steps = "overlap = '7d'\nsteps = { set = ['true'], revoke = ['true'] }";
    let mut fleet = fleet(&policy("'api.KEY'", steps));
    let run = "3-20261122T020000Z-7f3a".parse().unwrap();
    let revocation = Revocation { secret: name("api.KEY"), public: None, run, after: at(8) };
    let old = crate::bundle::OldValues { secret: Secret::new("older"), public: None };
    fleet.bundle.commit_rotation(at(1), vec![(revocation, old)]);
    assert_eq!(
        fleet.text(&all(), None, 2),
        "- api.KEY: the value before this one is accepted until 1970-01-09 00:00 UTC: that ends first; "
    );
    // Who is in a hurry revokes first; what could not be revoked has no room for another.
    let urgent = leak(&fleet, "web1");
    assert!(fleet.text(&urgent, None, 2).contains("- api.KEY: the value before this one"));
    assert!(fleet.plan(&urgent, None, 2).unwrap().skipped.iter().any(|skipped| skipped.is_missed));
    fleet.bundle.revoked(&name("api.KEY"));
    assert!(fleet.text(&urgent, None, 2).starts_with("api.KEY: web1 web2 db1 (web1 could read it)"));
}

#[test]
fn a_rotation_is_resumed_with_the_policies_of_now() {
    let mut fleet = fleet(&policy("'api.KEY'", "every = '90d'"));
    let run = "3-20261122T020000Z-7f3a".parse().unwrap();
    let turns = ["api.KEY", "db.PASSWORD"].map(|text| Turn { name: name(text), public: None });
    fleet.bundle.begin_rotation(crate::bundle::Rotation {
        run,
        started: at(1),
        is_urgent: false,
        secrets: turns.to_vec(),
    });
    let error = RotationPlan::resumed(fleet.ground(at(2))).unwrap_err();
    assert!(error.to_string().contains("db.PASSWORD is being rotated, but no policy"), "{error}");
}

#[test]
fn a_preview_holds_no_value_twice_and_none_that_is() {
    let pair = "[[rotate]]\nsecrets = ['tls/key.pem']\ngenerate = 'ed25519'\npublic = 'tls/public.pem'\n";
    let fleet = fleet(&(policy("'api.*'", "") + pair));
    let plan = fleet.plan(&all(), None, 1).unwrap();
    let preview = plan.preview(fleet.ground(at(1)));
    let names = ["api.KEY", "api.SESSION_A", "api.SESSION_B", "tls/key.pem", "tls/public.pem"].map(name);
    let values: Vec<&Secret> = names.iter().map(|name| preview.value(name).unwrap()).collect();
    for (index, value) in values.iter().enumerate() {
        assert!(!values[..index].contains(value), "{}", names[index]);
        assert_ne!(Some(*value), fleet.bundle.value(&names[index]));
    }
    assert_eq!(preview.value(&name("db.PASSWORD")), fleet.bundle.value(&name("db.PASSWORD")));
}

#[test]
fn what_is_overdue_on_a_host() {
    let fleet =
        fleet(&(policy("'api.KEY'", "scope = 'host'\nevery = '90d'") + &policy("'db.PASSWORD'", "every = '30d'")));
    let late = |host: &str, day| {
        let overdue = Overdue::of(fleet.ground(at(day))).unwrap();
        overdue.on(&host.parse().unwrap()).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(late("db1", 29).is_empty());
    assert_eq!(late("db1", 30), ["db.PASSWORD"]);
    assert_eq!(late("web1", 90), ["api.KEY"]);
    assert!(late("web1", 89).is_empty());
}
