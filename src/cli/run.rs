//! `run`: a program gets a service's variables, from the file on this host, from a sealed one, or from the bundle. It takes our place, so
//! signals and exit code are its own.

mod place;
mod variables;

use super::format_given::FormatGiven;
use super::option_value::option_value;
use super::shared::print_result;
use super::{Shared, hardening};
use crate::words::{Error, HostName, KeyName, Result, ServiceName};
use serde_json::json;
use std::convert::Infallible;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use variables::Variables;

const AFTER: &str = "\
Where the variables come from, the first that is there:
  --file PATH
  --secrets DIR, else DISTRIBUTE_SECRETS, else secrets/ here or upwards, else /run/secrets:
      SERVICE.env, SERVICE.json, SERVICE.yaml (each also sealed, with .age behind it), or a
      directory SERVICE with a file for each key
  secrets.age here or upwards, or --bundle: what all hosts get; with --host what that host gets
What is sealed is opened by --password-file, --identity, or `vault-password` beside secrets/ or beside the file.

Examples:
  distribute run --service api -- /usr/bin/api --port 8080
  distribute run --service api --require DATABASE_URL --or-environment -- ./start.sh";

/// Run a program with a service's secrets in its environment
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Whose variables; may be given several times, a later one is stronger
    #[arg(long, value_name = "SERVICE", required = true)]
    service: Vec<ServiceName>,
    /// This file and no other
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// The directory of secrets, as a play's root has it
    #[arg(long, value_name = "DIR", env = "DISTRIBUTE_SECRETS", hide_env_values = true, conflicts_with = "file")]
    secrets: Option<PathBuf>,
    /// How the file is written: docker, compose, systemd, shell, json, kubernetes [default: as its name or its first line says, else docker]
    #[arg(long, value_name = "FORMAT", value_parser = option_value::<FormatGiven>)]
    format: Option<FormatGiven>,
    /// With a bundle: with the overrides of this host and its groups
    #[arg(long, value_name = "HOST", conflicts_with_all = ["file", "secrets"])]
    host: Option<HostName>,
    /// Refuse to start without a value for this key; may be given several times
    #[arg(long, value_name = "KEY")]
    require: Vec<KeyName>,
    /// Where there is no such file, or a required key is not in it: go on with what is in the environment already
    #[arg(long)]
    or_environment: bool,
    /// The program and its arguments, behind --
    #[arg(required = true, last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let mut variables = Variables::default();
    for service in &args.service {
        match place::find(service, &args, shared)? {
            Some(place) => variables.add(place.read(service, &args, shared)?),
            None if args.or_environment => {}
            None => return Err(place::nowhere(service, &args, shared)),
        }
    }
    variables.require(&args.require, args.or_environment)?;
    if shared.check {
        let program = args.command[0].to_string_lossy();
        shared.say(format_args!("would run {} with {}", program.escape_debug(), variables.shown()));
        if shared.is_json() {
            let report = json!({ "schema": "distribute.run/1", "command": "run", "check": true, "program": program, "variables": variables.keys() });
            print_result(&format!("{report}\n"))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    match start(&args.command, &variables)? {}
}

/// The program takes our place. As in a shell, 127 says that it is not there, and 126 that it cannot be run.
fn start(command: &[OsString], variables: &Variables) -> Result<Infallible> {
    let mut program = Command::new(&command[0]);
    program.args(&command[1..]).envs(variables.for_the_program()?);
    hardening::undo();
    let error = program.exec();
    let code = if error.kind() == ErrorKind::NotFound { 127 } else { 126 };
    let name = command[0].to_string_lossy();
    super::shared::print_error(&Error::new(format!("{} cannot be run", name.escape_debug())).because(error));
    std::process::exit(code);
}
