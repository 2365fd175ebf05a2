//! `make demo`: the repository's example on a fleet of throw-away hosts, through the real command line. Everything lies in one
//! temporary directory, and is gone at the end, also after Ctrl-C. Needs neither root nor an SSH server.

mod fleet;
mod project;
mod story;

use fleet::Fleet;
use std::path::Path;
use std::process::ExitCode;
use story::{End, Interrupts, Story};

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(end) => {
            eprintln!("demo: {}", end.why);
            ExitCode::from(end.code)
        }
    }
}

async fn demo() -> Result<(), End> {
    let interrupts = Interrupts::listen()?;
    let directory = tempfile::Builder::new().prefix("demo-").tempdir()?;
    let told = tell(&directory.path().canonicalize()?, interrupts).await;
    directory.close()?;
    told?;
    println!("# Done. The hosts have stopped, and their directory is removed.");
    Ok(())
}

async fn tell(top: &Path, interrupts: Interrupts) -> Result<(), End> {
    let home = top.join("home");
    let names = ["onode1", "onode2", "gnode1"].map(str::to_owned);
    let fleet = Fleet::start(&names, top, &home).await?;
    project::copy(Path::new("."), &top.join("project"), &fleet.hosts)?;
    let mut story = Story::new(&top.join("project"), &home, interrupts)?;

    story.say("This is the example of this repository: inventory/, playbooks/ and secrets.age.");
    story.say(&format!("Its three hosts are SSH servers in this process, each with a directory in {}.", top.display()));
    story.run("Which hosts are there?", "inventory graph").await?;
    story.run("Enrol them: pin their host keys and what each may hold, and push for the first time.", "setup").await?;
    story.run("What is on them?", "status").await?;
    story
        .run(
            "A new value for one secret. Nobody sees it.",
            "bundle set aws.AWS_SECRET_ACCESS_KEY --generate password:40",
        )
        .await?;
    story.run("What would a deploy change? Names and fingerprints, never values.", "deploy --check --diff").await?;
    story.run("Do it.", "deploy").await?;
    story.run("And again: what is right already is not touched.", "deploy").await?;
    story
        .run(
            "What would a rotation do? It connects and compares, and generates nothing.",
            "rotate --secret api.SESSION_SECRET --check",
        )
        .await?;
    story
        .run(
            "New values everywhere: sealed first, then one host, then the others.",
            "rotate --secret api.SESSION_SECRET",
        )
        .await?;
    story.run("What is on them now?", "status").await?;
    fleet.hosts[0].open_to_all("secrets/aws.env")?;
    story
        .run_to("Somebody opened a file to every user of a host. An audit finds it (and ends with 3).", "audit", 3)
        .await?;
    story.run("It mends what is safe to mend.", "audit --fix").await?;
    println!();
    story.say("One host as it is on disk: a set is a directory, and ..data is the one switch.");
    story.tree(&fleet.hosts[0].root())?;
    Ok(())
}
