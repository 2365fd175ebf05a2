//! What a template sees, and what is said where it is wrong: never a value.

use super::*;
use crate::inventory::Inventory;
use crate::words::HostName;

const INVENTORY: &str =
    "[hosts]\nweb1 = { groups = ['web'], vars = { port = 8080, name = 'x \"y\"', on = true, all = ['a', 1] } }";

fn rendered(text: &str) -> Result<Rendering> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("i.toml"), INVENTORY).unwrap();
    let inventory = Inventory::load(&dir.path().join("i.toml")).unwrap();
    let pair = |key: &str, value: &[u8]| (KeyName::new(key).unwrap(), Secret::new(value));
    let keys = vec![
        pair("PASSWORD", b"POISON p'w\"/1"),
        pair("EMPTY", b""),
        pair("BINARY", b"\xffPOISON"),
        pair("dash-ed", b"POISON2"),
    ];
    let files = [("cert.pem".parse().unwrap(), Secret::new(*b"POISON\nCERT\n"))].into();
    let given = [
        ("my-api".parse().unwrap(), Given { keys: keys.clone(), files }),
        ("api".parse().unwrap(), Given { keys, ..Given::default() }),
    ];
    let template =
        Template { path: "templates/app.conf.j2".to_owned(), file: "app.conf".parse().unwrap(), text: text.into() };
    Rendering::of(&template, &given.into(), inventory.host(&HostName::new("web1").unwrap()).unwrap())
}

#[track_caller]
fn makes(text: &str, expected: &str) {
    let made = rendered(text).unwrap_or_else(|error| panic!("{error} {:?}", error.hints()));
    assert_eq!(String::from_utf8_lossy(made.content.expose()), expected);
}

#[track_caller]
fn refused(text: &str, message: &str) -> Vec<String> {
    let error = rendered(text).expect_err(text);
    assert_eq!(error.to_string(), format!("templates/app.conf.j2{message}"));
    assert!(!format!("{error:?}").contains("POISON"), "{error:?}");
    error.hints().to_vec()
}

#[test]
fn secrets_and_vars_are_filled_in_as_they_are() {
    makes("p={{ secrets.api.PASSWORD }}\n\n", "p=POISON p'w\"/1\n\n");
    makes("{{ secrets[\"my-api\"][\"dash-ed\"] }}{{ files['my-api/cert.pem'] }}", "POISON2POISON\nCERT\n");
    makes(
        "{{ host }} {{ groups[0] }} {{ vars.port + 1 }} {{ vars.name }} {{ vars.on|json }}",
        "web1 web 8081 x \"y\" true",
    );
    makes("{% for key in secrets.api %}{{ key }} {% endfor %}", "BINARY EMPTY PASSWORD dash-ed ");
    makes("{% if secrets.api.EMPTY %}a{% else %}b{% endif %}{% if vars.port == 8080 %}c{% endif %}", "bc");
    makes("{% if secrets.api.NONE is defined %}a{% elif secrets.api.PASSWORD is defined %}b{% endif %}", "b");
    makes("{{ secrets.api.NONE|default('d') }}{{ '<&>' }}", "d<&>");
}

#[test]
fn filters_know_secrets() {
    makes("{{ secrets.api.PASSWORD|json }}", "\"POISON p'w\\\"/1\"");
    makes("{{ secrets.api.PASSWORD|shellquote }} {{ vars.name|shellquote }}", "'POISON p'\\''w\"/1' 'x \"y\"'");
    makes("{{ secrets.api.PASSWORD|urlencode }}", "POISON%20p%27w%22%2F1");
    makes("{{ secrets.api.BINARY|base64 }} {{ secrets.api.EMPTY|base64|json }}", "/1BPSVNPTg== \"\"");
    makes("{{ groups|tojson }} {{ vars.all|tojson }}", "[\"web\"] [\"a\", 1]");
}

#[test]
fn the_keys_that_are_used_are_told() {
    let made = rendered("{{ secrets.api.PASSWORD }}{{ secrets['my-api'].PASSWORD }}{{ secrets.api.EMPTY }}").unwrap();
    assert_eq!(made.used.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["PASSWORD", "EMPTY"]);
}

#[test]
fn what_is_missing_is_told_by_name_and_line() {
    let hints = refused("\n{{ secrets.api.PASWORD }}", ":2: `secrets.api.PASWORD` is not there");
    assert_eq!(hints, ["there are: BINARY, EMPTY, PASSWORD, dash-ed"]);
    refused("{{ secrets.db.PASSWORD }}", ":1: `secrets.db` is not there");
    refused("{{ secrets['no-db'].X }}", ":1: `secrets[\"no-db\"]` is not there");
    refused("a\nb\n{{ vars.nope }}", ":3: `vars.nope` is not there");
    refused("{{ nope }}", ":1: `nope` is not there");
    refused("{% if secrets.api.NONE %}{% endif %}", ":1: `secrets.api.NONE` is not there");
    refused("{{ files['api/x'] }}", ":1: `files[\"api/x\"]` is not there");
}

#[test]
fn what_would_go_wrong_in_silence_is_refused() {
    let idle = ": `secrets.api.PASSWORD` is looked up there, and compared or left unused";
    let at = |line: usize| format!(":{line}{idle}");
    refused("{% if secrets.api.PASSWORD == 'POISON' %}x{% endif %}", &at(1));
    refused("{{ 'a' if 'P' in [secrets.api.PASSWORD] }}", &at(1));
    refused("{{ secrets.api.PASSWORD }}\n\n{% if secrets.api.PASSWORD == 'POISON' %}x{% endif %}\nx\n", &at(3));
    refused("{% set a = secrets.api.EMPTY %}{{ a }}\n{% set b = secrets.api.PASSWORD %}\n{{ vars.port }}\n", &at(2));
    refused("{{ secrets.api.PASSWORD == secrets.api.PASSWORD }}", &at(1));
    let hints = refused(
        "\n{{ secrets.api.BINARY }}",
        ":2: `secrets.api.BINARY` is not UTF-8, and cannot be in a template as it is",
    );
    assert!(hints[0].contains("{{ secrets.api.BINARY|base64 }}"), "{hints:?}");
    refused("{{ secrets.api }}", ":1: what is written there is no value");
    refused("{% for a in range(5000) %}{{ 'x' * 5000 }}{% endfor %}", ": it makes more than 16 MiB");
    refused("{{ secrets.api.PASSWORD|nope }}", ":1: unknown filter");
    refused("{{ secrets.api.PASSWORD", ":1: syntax error");
    refused(
        "{% for a in range(9000) %}{% for b in range(9000) %}{{ b }}{% endfor %}{% endfor %}",
        ":1: it does not come to an end",
    );
    refused("\n{%- include 'other' %}", ":2: a template has no `include`: it sees no other templates");
    refused("\n{% filter upper %}{{ secrets.api.PASSWORD }}{% endfilter %}", ":2: a template has no `filter` block");
    refused("{%- set x -%}{{ secrets.api.PASSWORD }}{% endset %}{{ x|upper }}", ":1: a template has no `set` block");
    refused("{% macro a() %}{% endmacro %}", ":1: a template has no `macro`: it sees no other templates");
}

#[test]
fn a_secret_is_no_string() {
    for filter in
        ["length", "int", "upper", "replace('P', 'x')", "trim", "list", "first", "string", "join", "bool", "split"]
    {
        let name = filter.split('(').next().unwrap();
        let message = format!(":2: `secrets.api.PASSWORD` does not go through the filter `{name}`");
        let hints = refused(&format!("\n{{{{ secrets.api.PASSWORD|{filter} }}}}"), &message);
        assert!(hints[0].contains("json, base64, shellquote, urlencode"), "{hints:?}");
    }
    for test in ["startingwith('P')", "endingwith('P')", "eq('P')", "string", "in('POISON')"] {
        let name = test.split('(').next().unwrap();
        refused(
            &format!("\n{{{{ 1 if secrets.api.PASSWORD is {test} }}}}"),
            &format!(":2: `secrets.api.PASSWORD` does not go through the test `{name}`"),
        );
    }
    let copied = "`secrets.api.PASSWORD` is made a part of another text, which would leave copies of it";
    for text in [
        "\n{{ 'a' ~ secrets.api.PASSWORD }}",
        "\n{% set x = secrets.api.PASSWORD ~ '' %}\n\n{{ x }}",
        "\n{% if secrets.api.PASSWORD ~ '' == 'POISON' %}{% endif %}",
        "\n{{ [secrets.api.PASSWORD]|join }}",
        "\n{{ [secrets.api.PASSWORD] }}",
        "\n{{ {'a': [secrets.api.PASSWORD]} }}",
        "\n{{ [secrets.api.PASSWORD]|json }}",
        "\n{{ 'x'|default(secrets.api.PASSWORD) }}{{ 'y'|replace('y', [secrets.api.PASSWORD]|string) }}",
    ] {
        let error = rendered(text).expect_err(text).to_string();
        assert!(error.starts_with("templates/app.conf.j2:2: ") && error.ends_with(copied), "{text}: {error}");
    }
    refused("{{ secrets.api ~ '' }}", ":1: what is written there is no value");
    refused("{{ secrets|upper }}", ":1: a service, or a branch of names, does not go through the filter `upper`");
    makes("{{ secrets.api.PASSWORD|default('d') }}{{ [secrets.api.PASSWORD][0] }}", "POISON p'w\"/1POISON p'w\"/1");
    makes("{{ secrets.api|length }}{{ vars.name|upper }}{{ vars.all|join(',') }}", "4X \"Y\"a,1");
}

#[test]
fn nothing_is_called_but_what_is_on_the_list() {
    for name in ["debug", "dict", "namespace", "lipsum", "cycler", "joiner", "url_for", "self", "loop", "caller"] {
        let error = rendered(&format!("\n{{{{ {name}() }}}}")).expect_err(name).to_string();
        assert!(error.starts_with("templates/app.conf.j2:2: "), "{name}: {error}");
    }
    for filter in ["pprint", "safe", "format", "attr", "map('upper')", "groupby('a')", "tojson(2)", "indent(9)"] {
        assert!(rendered(&format!("{{{{ secrets.api.PASSWORD|{filter} }}}}")).is_err(), "{filter}");
    }
    makes("{% for n in range(3) %}{{ n }}{% endfor %}{{ range(5, 0, -2)|join }}", "012531");
}

/// Whatever is called on whatever, with whatever: an error at most, and no value in it.
#[test]
fn no_template_panics() {
    let values = [
        "secrets.api.PASSWORD",
        "secrets.api.BINARY",
        "secrets.api",
        "secrets",
        "files",
        "nope",
        "secrets.api.NONE",
        "none",
        "true",
        "0",
        "-1",
        "1.5",
        "9223372036854775807",
        "-9223372036854775808",
        "170141183460469231731687303715884105727",
        "1e308",
        "''",
        "'\u{e9}x'",
        "[]",
        "[secrets.api.PASSWORD, 1, 'a', none]",
        "{'a': secrets.api.PASSWORD}",
        "range(3)",
        "vars.all",
        "groups",
    ];
    let filters = "abs attr base64 batch bool capitalize chain count d default dictsort e escape first float format groupby indent int \
        items join json last length lines list lower map max min pprint reject rejectattr replace reverse round safe select \
        selectattr shellquote slice sort split string sum title tojson trim unique upper urlencode zip";
    let tests = "boolean defined divisibleby endingwith eq equalto escaped even false filter float ge gt in int integer iterable le \
        lower lt mapping ne none number odd safe sameas sequence startingwith string test true undefined upper";
    let mut texts = Vec::new();
    for value in values {
        for name in filters.split_whitespace() {
            texts.push(format!("{{{{ {value}|{name} }}}}"));
            texts.push(format!("{{{{ {value}|{name}(-1) }}}}"));
            texts.push(format!("{{{{ {value}|{name}({value}) }}}}"));
            texts.push(format!("{{{{ 'abc'|{name}({value}, {value}) }}}}"));
            texts.push(format!("{{{{ {value}|{name}(attribute={value}, reverse=true, by={value}) }}}}"));
        }
        for name in tests.split_whitespace() {
            texts.push(format!("{{{{ {value} is {name} }}}}"));
            texts.push(format!("{{{{ 8 is {name}({value}) }}}}{{{{ {value} is {name}({value}) }}}}"));
        }
        for other in values.iter().step_by(4) {
            for operator in
                ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">", "<=", ">=", "in", "and", "or"]
            {
                texts.push(format!("{{{{ {value} {operator} {other} }}}}"));
            }
            texts.push(format!("{{{{ {value}[{other}] }}}}{{{{ {value}[{other}:{other}:{value}] }}}}"));
            texts.push(format!("{{% for x in range({value}, {other}, {value}) %}}{{{{ x }}}}{{% endfor %}}"));
        }
        for callee in ["range", "debug", "dict", "namespace", "lipsum"] {
            texts.push(format!("{{{{ {callee}({value}) }}}}"));
        }
        texts.push(format!("{{{{ -{value} }}}}{{{{ not {value} }}}}{{{{ {value}.x }}}}{{{{ {value}.x() }}}}"));
        texts.push(format!("{{% for a, b in {value} %}}{{{{ a }}}}{{% endfor %}}"));
        texts.push(format!("{{% set a, b = {value} %}}{{% with x = {value} %}}{{{{ x() }}}}{{% endwith %}}"));
        texts.push(format!("{{% filter upper %}}{{{{ {value} }}}}{{% endfilter %}}"));
        texts.push(format!("{{% set x %}}{{{{ {value} }}}}{{% endset %}}{{{{ x|upper }}}}"));
        texts.push(format!("{{% for x in {value} recursive %}}{{{{ loop({value}) }}}}{{% endfor %}}"));
        texts.push(format!("{{% autoescape {value} %}}{{{{ {value} }}}}{{% endautoescape %}}"));
    }
    for text in texts {
        if let Err(error) = rendered(&text) {
            assert!(!format!("{error:?}").contains("POISON"), "{text}: {error:?}");
        }
    }
}

#[test]
fn what_grows_is_bounded() {
    for text in [
        format!("{{{{ {}1{} }}}}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("{{{{ {}1{} }}}}", "[".repeat(5_000), "]".repeat(5_000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(5_000)),
        format!("{{{{ {}1 }}}}", "-".repeat(5_000)),
        format!("{{{{ 1{} }}}}", "|abs".repeat(5_000)),
        format!("{{{{ 'a'{} }}}}", "~'a'".repeat(5_000)),
        format!("{{{{ a{} }}}}", ".a".repeat(5_000)),
        "{% if 1 %}".repeat(5_000),
        "{% for a in [1] %}".repeat(5_000) + "{{ a }}",
        format!("{{% set x = 'ab' %}}{}{{{{ x|length }}}}", "{% set x = x ~ x %}".repeat(60)),
        format!("{{% set x = [1] %}}{}{{{{ x|length }}}}", "{% set x = x + x %}".repeat(10)),
        format!("{{% set x = [1] %}}{}{{{{ x|json }}}}", "{% set x = [x, x] %}".repeat(60)),
        format!("{{% set x = [1] %}}{}{{{{ x }}}}", "{% set x = [x] %}".repeat(4_000)),
        format!("{{% set x = [1] %}}{}{{{{ x|json }}}}", "{% set x = [x] %}".repeat(4_000)),
        format!("{{% set x = [1] %}}{}{{{{ x == [x] }}}}", "{% set x = [x] %}".repeat(4_000)),
        "{{ 'x' * 1000000000000 }}".to_owned(),
        "{{ [1] * 1000000000000 }}".to_owned(),
        "{{ ('x' * 1000000)|replace('x', 'y' * 1000000) }}".to_owned(),
        "{{ range(100000)|join('y' * 1000000) }}".to_owned(),
        "{{ 9 ** 9 ** 9 }}".to_owned(),
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}".to_owned(),
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_owned(),
    ] {
        let error = rendered(&text).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(!error.contains("POISON"), "{error}");
    }
}
