//! The inventory as a user writes it: what comes out, and what is said about mistakes.

use super::*;
use crate::words::Pattern;
use std::fs;

fn load_files(files: &[(&str, &str)]) -> Result<Inventory> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    Inventory::load(dir.path())
}

fn load(text: &str) -> Result<Inventory> {
    load_files(&[("hosts.toml", text)])
}

fn host<'a>(inventory: &'a Inventory, name: &str) -> &'a Host {
    inventory.host(&HostName::new(name).unwrap()).unwrap()
}

#[track_caller]
fn error(result: Result<Inventory>) -> (String, String) {
    let error = result.expect_err("it was read");
    let text = error.to_string();
    let from = text.find("hosts.toml").unwrap_or(0);
    (text[from..].to_owned(), error.hints().join("; "))
}

/// What an inventory with one mistake is answered with.
#[track_caller]
fn refused(text: &str, message: &str, hint: &str) {
    let (found, hints) = error(load(text));
    assert!(found.contains(message), "{found:?} lacks {message:?}");
    assert!(hints.contains(hint), "{hints:?} lacks {hint:?}");
}

const SAMPLE: &str = r#"
[defaults]
user = "root"
root = "/opt/default"
vars = { level = "defaults", low = 1 }

[hosts]
zed = {}
"web[01:05]" = { groups = ["web"] }
"db[a:c]" = { groups = ["db"] }
alpha.groups = ["web", "live"]

[groups.production]
children = ["web", "db"]
user = "outer"
root = "/opt/production"
vars = { level = "production", root = "/opt/beaten" }

[groups.web]
port = 2222
vars = { level = "web" }

[groups.live]

[groups.empty]
"#;

#[test]
fn hosts_come_in_the_order_written() {
    let inventory = load(SAMPLE).unwrap();
    let names: Vec<_> = inventory.hosts().iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["zed", "web01", "web02", "web03", "web04", "web05", "dba", "dbb", "dbc", "alpha"]);
    let groups: Vec<_> = inventory.groups().iter().map(|group| group.name.as_str()).collect();
    assert_eq!(groups, ["production", "web", "live", "empty", "db"]);
}

#[test]
fn the_nearer_setting_wins() {
    let inventory = load(SAMPLE).unwrap();
    let zed = host(&inventory, "zed");
    assert_eq!(zed.endpoint.socket(), "zed:22");
    assert_eq!((zed.endpoint.user.as_str(), zed.root.as_ref()), ("root", None));
    assert_eq!(zed.default_root.as_ref().unwrap().as_str(), "/opt/default");
    assert_eq!(zed.vars["level"].as_str(), Some("defaults"));
    let web = host(&inventory, "web01");
    assert_eq!((web.endpoint.user.as_str(), web.endpoint.port), ("outer", 2222));
    assert_eq!(web.root.as_ref().unwrap().as_str(), "/opt/production");
    assert_eq!(web.vars["level"].as_str(), Some("web"));
    assert_eq!(web.vars["low"].as_integer(), Some(1));
    let names = |name| host(&inventory, name).groups.iter().map(|group| group.as_str()).collect::<Vec<_>>();
    assert_eq!(names("web01"), ["production", "web"]);
    assert_eq!(names("alpha"), ["live", "production", "web"]);
    assert!(names("zed").is_empty());
}

#[test]
fn depth_is_the_longest_way_down() {
    let text = "[hosts]\nh.groups = ['leaf']\n[groups.b]\nchildren=['m','leaf']\n[groups.m]\nchildren=['leaf']\n\
                [groups.a]\nchildren=['b']\n[groups.c]\nchildren=['leaf']";
    let inventory = load(text).unwrap();
    let groups: Vec<_> = host(&inventory, "h").groups.iter().map(|group| group.as_str()).collect();
    assert_eq!(groups, ["a", "c", "b", "m", "leaf"]);
}

#[test]
fn a_root_may_come_from_a_var() {
    let root = |text: &str| {
        let inventory = load(text).unwrap();
        let host = &inventory.hosts()[0];
        let shown = |root: &Option<RemotePath>| root.as_ref().map_or("-".to_owned(), RemotePath::to_string);
        format!("{} {}", shown(&host.root), shown(&host.default_root))
    };
    assert_eq!(root("[hosts]\nh.groups=['g']\n[groups.g]\nvars.root='/g'"), "/g -");
    assert_eq!(root("[hosts]\nh.groups=['g']\nh.vars.root='/h'\n[groups.g]\nroot='/g'"), "/h -");
    assert_eq!(root("[hosts]\nh.vars.root='/v'\nh.root='/h'"), "/h -");
    assert_eq!(root("[defaults]\nvars.root='/d'\n[hosts]\nh={}"), "- /d");
}

#[test]
fn every_setting_reaches_the_endpoint() {
    let text = "[hosts]\nh = { address='2001:db8::1', port=1, user='u', identity_file='/k', jump='a@b:1', become='doas', \
                connection='local' }\nj = { jump = 'none', user = 'u', groups = ['g'] }\n[groups.g]\njump = 'b'";
    let inventory = load(text).unwrap();
    let expected = Endpoint {
        host: HostName::new("h").unwrap(),
        address: "2001:db8::1".to_owned(),
        port: 1,
        user: "u".to_owned(),
        identity_file: Some("/k".into()),
        jump: Some("a@b:1".to_owned()),
        escalation: Escalation::Doas,
        connection: Connection::Local,
    };
    assert_eq!(host(&inventory, "h").endpoint, expected);
    assert_eq!(expected.socket(), "[2001:db8::1]:1");
    assert_eq!(host(&inventory, "j").endpoint.jump, None);
}

#[test]
fn without_a_user_it_is_who_runs_this() {
    let login = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    assert_eq!(load("[hosts]\nh = {}").unwrap().hosts()[0].endpoint.user, login);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.toml"), "[hosts]\nh = {}").unwrap();
    let draft = Draft::read(&TomlFiles::read(dir.path(), "inventory").unwrap()).unwrap();
    assert!(Inventory::resolve(&draft, None).is_err());
    assert!(Inventory::resolve(&draft, Some("DOMAIN\\me")).is_err());
}

#[test]
fn files_are_joined_and_must_agree() {
    let first = ("a.toml", "[hosts]\nh = { port = 1, groups = ['x'], vars = { k = 1 } }");
    let joined =
        load_files(&[first, ("b.toml", "[hosts]\nh = { user = 'u', port = 1, groups = ['y'] }\n\"i[1:2]\" = {}")]);
    let joined = joined.unwrap();
    let names: Vec<_> = joined.hosts().iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["h", "i1", "i2"]);
    assert_eq!(host(&joined, "h").groups.len(), 2);
    for other in ["[hosts]\nh.port = 2", "[hosts]\nh.vars.k = 2"] {
        let (message, _) = error(load_files(&[first, ("b.toml", other)]));
        assert!(message.contains("b.toml:2") && message.contains("a.toml:2"), "{message}");
        assert!(message.contains("host \"h\""), "{message}");
    }
    let defaults = [("a.toml", "[defaults]\nuser = 'a'"), ("b.toml", "[defaults]\nuser = 'b'\n[hosts]\nh = {}")];
    assert!(error(load_files(&defaults)).0.contains("\"user\" is another than in"));
}

#[test]
fn a_mistake_is_named_with_its_place() {
    let typo = "[hosts]\n\ndb1 = { adress = '203.0.113.1' }";
    refused(typo, "hosts.toml:3: host \"db1\": unknown key \"adress\"", "did you mean \"address\"?");
    for option in ["ssh_common_args", "ProxyCommand", "ansible_host"] {
        refused(&format!("[hosts]\nh.{option} = 'x'"), &format!("unknown key \"{option}\""), "");
    }
    refused("[hosts]\nweb.example.com = {}", "unknown key \"example\"", "\"web.example");
    refused("[host]\nh = {}", "hosts.toml:1: unknown key \"host\"", "did you mean \"hosts\"?");
    refused("[defaults]\ngroups = []\n[hosts]\nh = {}", "hosts.toml:2: defaults: unknown key \"groups\"", "");
    refused("[hosts]\nh = {}\n[groups.g]\nhosts = ['h']", "group \"g\": unknown key \"hosts\"", "");
    refused("[hosts]\nh = { port = 1", "hosts.toml:2: not TOML", "");
    refused("[hosts]\nh = {}\nh = {}", "hosts.toml:3: not TOML: duplicate key", "");
}

#[test]
fn wrong_kinds_and_values_are_refused() {
    for port in ["0", "70000", "-1", "65536"] {
        refused(&format!("[hosts]\nh.port = {port}"), "is not a port (1 to 65535)", "");
    }
    refused("[hosts]\nh.port = '22'", "\"port\" must be an integer, not a string", "");
    refused("[hosts]\nh = 1", "\"h\" must be a table, not an integer", "");
    refused("hosts = 1", "\"hosts\" must be a table", "");
    refused("[hosts]\nh.groups = 'g'", "\"groups\" must be an array of strings, not a string", "");
    refused("[hosts]\nh.groups = [1]", "must be an array of strings", "");
    refused("[hosts]\nh.groups = ['a b']", "is not a group name", "");
    refused("[hosts]\nh.vars = 1", "\"vars\" must be a table", "");
    refused("[hosts]\nh.vars.root = 1", "\"root\" must be a string", "");
    refused("[hosts]\nh.vars.root = 'opt'", "it is not absolute", "");
    refused("[hosts]\nh.root = '/opt/../etc'", "root: ", "");
    refused("[hosts]\nh.become = 'su'", "become: `su` is not", "none, sudo, doas");
    refused("[hosts]\nh.connection = 'telnet'", "connection: `telnet` is not", "ssh, local");
    refused("[hosts]\nh.address = '-oProxyCommand=x'", "host \"h\": address: ", "");
    refused("[hosts]\nh.user = 'root;x'", "host \"h\": user: ", "");
    refused("[hosts]\nh.jump = 'a b'", "host \"h\": jump: ", "[user@]host[:port]");
    refused("[hosts]\n\"a b\" = {}", "is not a host name", "");
}

#[test]
fn hosts_and_groups_make_sense_together() {
    refused("[defaults]", "the inventory has no hosts", "[hosts]");
    refused("[hosts]\nh = {}\n[groups.all]", "cannot be called \"all\"", "[defaults]");
    refused("[hosts]\nh.groups = ['all']", "cannot be called \"all\"", "[defaults]");
    refused("[hosts]\nh = {}\n[groups.ungrouped]", "cannot be called \"ungrouped\"", "");
    refused("[hosts]\nall = {}", "a host cannot be called \"all\"", "");
    refused("[hosts]\nweb = {}\n[groups.web]", "hosts.toml:3: \"web\" is a group here and a host in", "another name");
    refused("[hosts]\nh.groups=['web']\n[groups.p]\nchildren=['wbe']", "child \"wbe\" is not a group", "\"web\"?");
    let circle = "[hosts]\nh = {}\n[groups.a]\nchildren=['b']\n[groups.b]\nchildren=['c']\n[groups.c]\nchildren=['b']";
    refused(circle, "groups lie in a circle: b -> c -> b", "");
    refused("[hosts]\nh = {}\n[groups.a]\nchildren=['a']", "groups lie in a circle: a -> a", "");
    refused("[hosts]\n\"web[1:3]\" = {}\nweb2 = {}", "hosts.toml:3: host \"web2\" is here a second time", "overlap");
    refused("[hosts]\n\"web[0:65536]\" = {}", "more than 65536 hosts", "");
    refused("[hosts]\n\"web[3:1]\" = {}", "hosts.toml:2: `web[3:1]` is not a host range: its end comes", "");
}

/// A pattern, and the hosts of the sample it means.
#[track_caller]
fn case(pattern: &str, expected: &str) {
    let inventory = load(SAMPLE).unwrap();
    let parsed = Pattern::parse(pattern).unwrap();
    let found: Vec<_> = inventory.select(&parsed).unwrap().iter().map(|host| host.name.as_str()).collect();
    assert_eq!(found.join(" "), expected, "{pattern}");
    for host in inventory.hosts() {
        let meant = expected.split(' ').any(|name| name == host.name.as_str());
        assert_eq!(inventory.matches(&parsed, &host.name).unwrap(), meant, "{pattern} {}", host.name);
    }
}

#[test]
fn patterns_mean_what_they_mean_in_ansible() {
    case("all", "zed web01 web02 web03 web04 web05 dba dbb dbc alpha");
    case("*", "zed web01 web02 web03 web04 web05 dba dbb dbc alpha");
    case("zed", "zed");
    case("web", "web01 web02 web03 web04 web05 alpha");
    case("db:zed", "zed dba dbb dbc");
    case("db,zed", "zed dba dbb dbc");
    case("production", "web01 web02 web03 web04 web05 dba dbb dbc alpha");
    case("production:&live", "alpha");
    case("!web", "zed dba dbb dbc");
    case("&live", "alpha");
    case("production:!web", "dba dbb dbc");
    case("!web:all", "zed dba dbb dbc");
    case("all:!empty:!production", "zed");
    case("ungrouped", "zed");
    case("web0?", "web01 web02 web03 web04 web05");
    case("web0[!12]", "web03 web04 web05");
    case("web0[1a2]", "web01 web02");
    case("d*", "dba dbb dbc");
    case("pro*", "web01 web02 web03 web04 web05 dba dbb dbc alpha");
    case("*a", "dba alpha");
    case("~web0[12]", "web01 web02");
    case("~db(a|b)$", "dba dbb");
    case("~(?:we|z)", "zed web01 web02 web03 web04 web05 alpha");
    case("~web|zed", "zed web01 web02 web03 web04 web05 alpha");
    case("~web.*:!web02", "web01 web03 web04 web05 alpha");
}

#[test]
fn subscripts_count_from_nought() {
    case("web[0]", "web01");
    case("web[-1]", "alpha");
    case("web[0:1]", "web01 web02");
    case("web[3:]", "web04 web05 alpha");
    case("web[:1]", "web01 web02");
    case("web[-2:]", "web05 alpha");
    case("web[4:99]", "web05 alpha");
    case("production[4:5]", "web05 dba");
    case("all[0]", "zed");
    case("web0*[1]", "web02");
    case("web0[12345][1]", "web02");
    case("web[0:1]:&web[1:2]", "web02");
    case("web:!web[0]", "web02 web03 web04 web05 alpha");
}

#[track_caller]
fn nothing(pattern: &str, message: &str, hint: &str) {
    let inventory = load(SAMPLE).unwrap();
    let error = inventory.select(&Pattern::parse(pattern).unwrap()).expect_err(pattern);
    assert!(error.to_string().contains(message), "{error}");
    assert!(error.hints().join(" ").contains(hint), "{:?}", error.hints());
}

#[test]
fn a_term_that_matches_nothing_is_an_error() {
    nothing("wep", "`wep`: no host or group matches", "did you mean \"web\"?");
    nothing("all:!prodction", "`!prodction`: no host or group", "\"production\"?");
    nothing("web:&liev", "`&liev`: no host", "\"live\"?");
    nothing("web06", "`web06`", "did you mean \"web0");
    nothing("x*", "`x*`: no host or group matches", "inventory graph");
    nothing("~eb", "`~eb`: no host or group matches", "inventory graph");
    nothing("web[01:20]x", "no host or group matches", "");
    nothing("web[6]", "`web[6]`: there are not that many", "[0]");
    nothing("web[-7]", "there are not that many", "");
    nothing("web[9:12]", "there are not that many", "");
    nothing("web[2:1]", "there are not that many", "");
    nothing("web:!web", "`web:!web` leaves no host", "");
    nothing("empty", "`empty` leaves no host", "");
    nothing("~(", "`~(` is not a regular expression", "");
    nothing("~a)|(b", "is not a regular expression", "");
}

#[test]
fn a_relative_key_file_lies_beside_the_inventory() {
    let project = tempfile::tempdir().unwrap();
    let directory = project.path().join("inventory");
    fs::create_dir(&directory).unwrap();
    let text = "[hosts]\na = { user = 'u', identity_file = 'keys/id' }\nb = { user = 'u', identity_file = '/k' }\n";
    fs::write(directory.join("hosts.toml"), text).unwrap();
    fs::write(project.path().join("other.toml"), text).unwrap();
    for path in [directory.clone(), directory.join("hosts.toml"), project.path().join("other.toml")] {
        let inventory = Inventory::load(&path).unwrap();
        let file = |name: &str| host(&inventory, name).endpoint.identity_file.clone().unwrap();
        assert_eq!((file("a"), file("b")), (project.path().join("keys/id"), "/k".into()), "{}", path.display());
    }
}
