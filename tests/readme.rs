//! What the README shows exists: its commands parse, its links lead somewhere, and its tour names every room.

use std::fs;
use std::path::Path;
use std::process::Command;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(top().join("README.md")).unwrap()
}

/// The lines of the code blocks, without prompts and comments.
fn commands(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if is_code {
            let line = line.trim_start_matches("$ ");
            commands.push(line.split(" #").next().unwrap_or(line).trim().to_owned());
        }
    }
    commands
}

/// As a shell would part them: what is quoted is one.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('\'').enumerate();
    parts.flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }).collect()
}

#[test]
fn every_command_shown_is_one_that_the_program_knows() {
    let shown = commands(&readme());
    let lines: Vec<&String> = shown.iter().filter(|line| line.starts_with("distribute ")).collect();
    assert!(lines.len() > 15, "the README shows commands");
    for line in lines {
        // With --help behind it a command is parsed and not run. What comes behind `--` is another program's.
        let words = words(line);
        let own = words[1..].iter().take_while(|word| **word != "--");
        let output = Command::new(env!("CARGO_BIN_EXE_distribute")).args(own).arg("--help").output().unwrap();
        assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_target_shown_is_in_the_makefile() {
    let makefile = fs::read_to_string(top().join("Makefile")).unwrap();
    let (shown, help) = (commands(&readme()), commands(&format!("```\n{}\n```", makefile.replace("@echo '", ""))));
    let targets: Vec<&str> = shown
        .iter()
        .chain(help.iter().filter(|line| line.starts_with("make ")))
        .filter_map(|line| line.strip_prefix("make ")?.split(' ').next())
        .collect();
    assert!(targets.contains(&"demo") && targets.contains(&"test") && targets.contains(&"bench"), "{targets:?}");
    for target in targets {
        assert!(makefile.contains(&format!("\n{target}:")), "make {target}");
    }
}

#[test]
fn every_link_leads_to_a_file() {
    let text = readme();
    let links: Vec<&str> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let own: Vec<&&str> = links.iter().filter(|link| !link.starts_with("https://")).collect();
    assert!(own.len() > 15, "the README has links");
    let anchor = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    let headings: Vec<String> = text.lines().filter(|line| line.starts_with("##")).map(anchor).collect();
    for link in own {
        match link.strip_prefix('#') {
            Some(heading) => assert!(headings.iter().any(|one| one == heading), "{link}"),
            None => assert!(top().join(link).exists(), "{link}"),
        }
    }
}

#[test]
fn the_tour_names_every_room() {
    let text = readme();
    for entry in fs::read_dir(top().join("src")).unwrap() {
        let entry = entry.unwrap();
        let slash = if entry.path().is_dir() { "/" } else { "" };
        let room = format!("[src/{}{slash}]", entry.file_name().display());
        assert!(text.contains(&room), "{room} is not in the tour");
    }
}
