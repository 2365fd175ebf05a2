//! `RotationPolicy`: how often secrets get new values, how those are made, and which programs make a provider accept them. As written
//! under `[[rotate]]`; whether the secrets exist is the bundle's to say.

use super::SecretGlob;
use crate::words::{Error, Generator, Period, Result, TomlTable, named};

/// One `[[rotate]]` table.
#[derive(Clone, Debug)]
pub struct RotationPolicy {
    /// `file:line`, for messages.
    pub place: String,
    pub secrets: Vec<SecretGlob>,
    /// How old a value may become; without it the policy is for whoever names the secret.
    pub every: Option<Period>,
    pub generate: Maker,
    /// Where the public half of a key pair goes, as people name a secret.
    pub public: Option<String>,
    pub scope: ValueScope,
    pub steps: Steps,
    /// How long the provider accepts the old value beside the new one; then `revoke` runs.
    pub overlap: Period,
    /// How long each step may take.
    pub timeout: Period,
}

/// Who makes a new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    Generator(Generator),
    /// The step `generate`: its stdout is the value.
    Command,
}

/// For whom one new value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueScope {
    /// Everybody who has the old one.
    Fleet,
    /// One host each.
    Host,
}

/// Programs with their arguments: one JSON document on stdin, an exit status. No shell reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    pub generate: Option<Vec<String>>,
    pub set: Option<Vec<String>>,
    pub test: Option<Vec<String>>,
    pub undo: Option<Vec<String>>,
    pub revoke: Option<Vec<String>>,
}

const KEYS: [&str; 8] = ["secrets", "every", "generate", "public", "scope", "steps", "overlap", "timeout"];
const STEPS: [&str; 5] = ["generate", "set", "test", "undo", "revoke"];
const TIMEOUT: Period = Period::from_secs(60);
const LONGEST: u64 = 3600;

impl RotationPolicy {
    pub(super) fn read(table: TomlTable<'_>) -> Result<Self> {
        let table = table.called("rotate");
        table.only(&KEYS)?;
        let policy = Self {
            place: table.place(),
            secrets: secrets(&table)?,
            every: table.parsed("every")?,
            generate: table.required("generate", table.read("generate", maker))?,
            public: table.string("public")?.map(str::to_owned),
            scope: table.read("scope", scope)?.unwrap_or(ValueScope::Fleet),
            steps: table.table("steps")?.map(|steps| Steps::read(&steps)).transpose()?.unwrap_or_default(),
            overlap: table.parsed("overlap")?.unwrap_or(Period::from_secs(0)),
            timeout: table.parsed("timeout")?.unwrap_or(TIMEOUT),
        };
        policy.refuse_contradictions(&table)?;
        Ok(policy)
    }

    fn refuse_contradictions(&self, table: &TomlTable<'_>) -> Result<()> {
        let wrong = |key: &str, why: &str, hint: &str| Err(table.wrong_at(key, Error::new(why).hint(hint)));
        let is_pair = matches!(self.generate, Maker::Generator(generator) if generator.is_key_pair());
        match () {
            () if self.every.is_some_and(|every| every.as_secs() == 0) => wrong(
                "every",
                "every: a value that is due at once is always due",
                "leave it out to rotate by name only",
            ),
            () if (self.generate == Maker::Command) != self.steps.generate.is_some() => wrong(
                "generate",
                "generate = \"command\" and the step `generate` belong together",
                "steps = { generate = [\"rotators/NAME\", \"generate\"], ... }: what it prints is the new value",
            ),
            () if self.public.is_some() && !is_pair => {
                wrong("public", "only key pairs have a public half", "generate = \"rsa:2048\" or \"ed25519\"")
            }
            () if self.overlap.as_secs() > 0 && self.steps.revoke.is_none() => wrong(
                "overlap",
                "there is no step `revoke` that would end the overlap",
                "add one, or leave overlap out",
            ),
            () if !(1..=LONGEST).contains(&self.timeout.as_secs()) => {
                wrong("timeout", "timeout does not lie between 1s and 1h", "timeout = \"60s\"")
            }
            () => Ok(()),
        }
    }

    /// May both the old and the new value be in use for a while? Then the provider knows both until `revoke`.
    pub fn accepts_both(&self) -> bool {
        self.steps.revoke.is_some()
    }

    /// As the policy says it: `password:40`, or `command`.
    pub fn maker(&self) -> String {
        match self.generate {
            Maker::Generator(generator) => generator.to_string(),
            Maker::Command => "command".to_owned(),
        }
    }
}

impl Steps {
    fn read(table: &TomlTable<'_>) -> Result<Self> {
        table.only(&STEPS)?;
        let step = |key: &str| match table.strings(key)? {
            Some(argv) if argv.first().is_none_or(|program| program.is_empty()) => {
                Err(table.wrong_at(key, Error::new(format!("\"{key}\" names no program"))))
            }
            // It would end the argument, and the rest be lost.
            Some(argv) if argv.iter().any(|argument| argument.contains('\0')) => {
                Err(table.wrong_at(key, Error::new(format!("\"{key}\" holds a NUL byte"))))
            }
            argv => Ok(argv.map(|argv| argv.into_iter().map(str::to_owned).collect())),
        };
        Ok(Self {
            generate: step("generate")?,
            set: step("set")?,
            test: step("test")?,
            undo: step("undo")?,
            revoke: step("revoke")?,
        })
    }

    /// Every step that there is, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        let steps = [&self.generate, &self.set, &self.test, &self.undo, &self.revoke];
        STEPS.into_iter().zip(steps).filter_map(|(name, argv)| Some((name, argv.as_ref()?)))
    }
}

fn secrets(table: &TomlTable<'_>) -> Result<Vec<SecretGlob>> {
    let list = table.required("secrets", table.strings("secrets"))?;
    if list.is_empty() {
        let why = Error::new("\"secrets\" is empty");
        return Err(table.wrong_at("secrets", why.hint("secrets = [\"api.SESSION_KEY\"]")));
    }
    let globs: Result<_> = list.into_iter().map(str::parse).collect();
    globs.map_err(|error: Error| table.wrong_at("secrets", error.at("secrets")))
}

fn maker(text: &str) -> Result<Maker> {
    if text == "command" { Ok(Maker::Command) } else { text.parse().map(Maker::Generator) }
}

fn scope(text: &str) -> Result<ValueScope> {
    named(text, "a scope", &[("fleet", ValueScope::Fleet), ("host", ValueScope::Host)])
}
