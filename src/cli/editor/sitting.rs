//! `Sitting`: one text in the user's editor, as often as it takes. Between the turns and afterwards nothing of it is on a disk.

use super::{Editor, IgnoredSignals};
use crate::cli::Shared;
use crate::cli::memory_file::MemoryFile;
use crate::cli::shared::print_note;
use crate::cli::swap;
use crate::words::{Result, Secret};
use std::time::Duration;

/// Whoever returns sooner has typed nothing.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Everything that an editor needs. The fields are dropped in this order: wiped first.
pub struct Sitting<'a> {
    file: MemoryFile,
    editor: Editor,
    signals: IgnoredSignals,
    shared: &'a Shared,
}

impl<'a> Sitting<'a> {
    /// Prepares a private place in memory; says what its safety depends on. `may_be_on_disk` where there is no such place.
    pub fn new(name: &str, may_be_on_disk: bool, shared: &'a Shared) -> Result<Self> {
        let editor = Editor::chosen()?;
        editor.refuse_without_terminal()?;
        let signals = IgnoredSignals::new()?;
        let file = MemoryFile::create(name, may_be_on_disk)?;
        let sitting = Self { file, editor, signals, shared };
        sitting.warn();
        Ok(sitting)
    }

    fn warn(&self) {
        let place = self.file.path().parent().unwrap_or(self.file.path()).display();
        let on_disk = self.file.is_on_disk().then(|| {
            format!("ATTENTION: the clear text lies on a disk, in {place}; it is overwritten afterwards, but a disk may keep it")
        });
        let swapped = Some(swap::in_clear()).filter(|on| !on.is_empty() && !self.file.is_on_disk()).map(|on| {
            format!("swap is not encrypted ({}): what is edited in memory may be written there", on.join(", "))
        });
        let editor = self.editor.kind.warning(&self.editor.program);
        [on_disk, swapped, editor].into_iter().flatten().for_each(|text| print_note(self.shared, &text));
    }

    /// What the editor makes of a text.
    pub fn turn(&mut self, text: &Secret) -> Result<Secret> {
        self.file.write(text)?;
        let took = self.editor.open(self.file.path(), &mut self.signals)?;
        let left = self.file.read()?;
        if left == *text && took < AT_ONCE && self.editor.kind.may_not_wait() {
            let text = format!(
                "{} came back at once: if it has a window, give it the option to wait until that is closed, such as --wait",
                self.editor.program
            );
            print_note(self.shared, &text);
        }
        Ok(left)
    }
}
