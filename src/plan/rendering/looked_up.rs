//! `LookUps`: what a template asked for, and did not find; and `LookedUp`, a secret in its hands.

use crate::words::{KeyName, Secret};
use minijinja::value::{DynObject, Object, ObjectRepr};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Filled while a template is rendered.
#[derive(Default)]
pub struct LookUps(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    used: Vec<(KeyName, Secret)>,
    made: Vec<Secret>,
    missing: Option<(String, String)>,
    not_text: Option<String>,
    refused: Option<String>,
    idle: Option<(String, usize)>,
    count: usize,
}

impl LookUps {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        // A poisoned lock is somebody else's panic: what was noted still holds.
        note(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    fn get<T>(&self, get: impl FnOnce(&Seen) -> T) -> T {
        get(&self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// A key was found.
    pub fn uses(&self, key: &KeyName, value: &Secret) {
        self.note(|seen| {
            if !seen.used.iter().any(|used| used.0 == *key && used.1 == *value) {
                seen.used.push((key.clone(), value.clone()));
            }
        });
    }

    /// This is not there; what is there is told by name.
    pub fn misses(&self, name: String, there: String) {
        self.note(|seen| seen.missing = Some((name, there)));
    }

    pub fn used(&self) -> Vec<(KeyName, Secret)> {
        self.get(|seen| seen.used.clone())
    }

    pub fn made(&self) -> Vec<Secret> {
        self.get(|seen| seen.made.clone())
    }

    pub fn missing(&self) -> Option<(String, String)> {
        self.get(|seen| seen.missing.clone())
    }

    pub fn not_text(&self) -> Option<String> {
        self.get(|seen| seen.not_text.clone())
    }

    /// The first secret that was neither written, tested nor put through a filter, and how many were looked up until then.
    pub fn idle(&self) -> Option<(String, usize)> {
        self.get(|seen| seen.idle.clone())
    }

    /// How many secrets were looked up, or made of such.
    pub fn count(&self) -> usize {
        self.get(|seen| seen.count)
    }

    /// Something was done that is not allowed; the first is told.
    pub fn refuse(&self, what: impl FnOnce() -> String) {
        self.note(|seen| _ = seen.refused.get_or_insert_with(what));
    }

    pub fn refused(&self) -> Option<String> {
        self.get(|seen| seen.refused.clone())
    }
}

/// A secret as a template holds it: it can be written, and nothing compares equal to it.
pub struct LookedUp {
    pub name: String,
    value: Secret,
    looks: Arc<LookUps>,
    number: usize,
    is_touched: AtomicBool,
}

impl LookedUp {
    pub fn new(name: String, value: Secret, looks: Arc<LookUps>) -> Self {
        looks.note(|seen| seen.count += 1);
        let number = looks.count();
        Self { name, value, looks, number, is_touched: AtomicBool::new(false) }
    }

    /// Marks it as put to use.
    pub fn touch(&self) -> &Secret {
        self.is_touched.store(true, Ordering::Relaxed);
        &self.value
    }

    /// What a filter made of it.
    pub fn made(&self, value: Secret) -> Self {
        self.looks.note(|seen| seen.made.push(value.clone()));
        Self::new(self.name.clone(), value, self.looks.clone())
    }

    /// As text, for what is written and nothing else.
    pub fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(self.touch().expose()).ok();
        if text.is_none() {
            self.looks.note(|seen| seen.not_text = Some(self.name.clone()));
        }
        text
    }
}

impl Drop for LookedUp {
    fn drop(&mut self) {
        if !self.is_touched.load(Ordering::Relaxed) {
            let idle = || (self.name.clone(), self.number);
            self.looks.note(|seen| _ = seen.idle.get_or_insert_with(idle));
        }
    }
}

impl fmt::Debug for LookedUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LookedUp({})", self.name)
    }
}

impl Object for LookedUp {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        !self.touch().is_empty()
    }

    /// The engine compares others of their kind by their texts.
    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<std::cmp::Ordering> {
        Some(self.number.cmp(&other.downcast_ref::<Self>()?.number))
    }

    /// Only an operator or a filter of the engine's asks for this: what is written goes another way. An error would make it panic.
    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.touch();
        self.looks.refuse(|| format!("`{}` is made a part of another text, which would leave copies of it", self.name));
        Ok(())
    }
}
