//! `Policy`: the part of a rotation that calls steps, for one secret.

use distribute::provider::{Answer, Call, Program, Trouble, call};
use distribute::words::Secret;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A rotator with its options. While it lives no other test starts a server: a step's orphans become ours.
pub struct Policy {
    before: Vec<String>,
    after: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

/// Values, as a rotation has them.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    pub old: Option<&'a str>,
    pub new: Option<&'a str>,
    pub new_public: Option<&'a str>,
}

pub fn turn<'a>(old: &'a str, new: &'a str) -> Values<'a> {
    Values { old: Some(old), new: Some(new), new_public: None }
}

pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Policy {
    /// `env` stands for what the user exports.
    pub fn new(alone: MutexGuard<'static, ()>, rotator: &str, env: &[(String, String)]) -> Self {
        let variables = env.iter().map(|(name, value)| format!("{name}={value}"));
        let before = std::iter::once("env".to_owned()).chain(variables).chain([format!("./rotators/{rotator}")]);
        Self { before: before.collect(), after: Vec::new(), _alone: alone }
    }

    /// From here on with these options.
    pub fn with(&mut self, options: &[&str]) {
        self.after = options.iter().map(|word| (*word).to_owned()).collect();
    }

    pub fn call(&self, step: &str, values: Values) -> Result<Answer, Trouble> {
        let argv: Vec<String> =
            self.before.iter().cloned().chain([step.to_owned()]).chain(self.after.clone()).collect();
        let playbooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
        let program = Program::find(&argv, &playbooks, Duration::from_secs(60)).unwrap();
        let [old, new, new_public] = [values.old, values.new, values.new_public].map(|text| text.map(Secret::new));
        let (secret, run) = ("service.KEY", "42-20261121T020000Z-7f3a");
        let (old, new, new_public) = (old.as_ref(), new.as_ref(), new_public.as_ref());
        let told = Call { step, secret, host: None, run, old, new, old_public: None, new_public };
        call(&program, &told, &[], &|_| (), &|| false)
    }

    /// Called twice with the same, a step means the same.
    #[track_caller]
    pub fn twice(&self, step: &str, values: Values) {
        for _ in 0..2 {
            self.call(step, values).unwrap_or_else(|trouble| panic!("{trouble:?}"));
        }
    }

    /// It fails, says why, and no value is shown.
    #[track_caller]
    pub fn refused(&self, step: &str, values: Values, expected: &str) {
        let trouble = format!("{:?}", self.call(step, values).expect_err("it went well"));
        assert!(trouble.contains(expected), "{trouble} lacks {expected:?}");
        for value in [values.old, values.new].into_iter().flatten() {
            assert!(!trouble.contains(value), "{trouble}");
        }
        assert!(!trouble.contains("Traceback"), "{trouble}");
    }
}
