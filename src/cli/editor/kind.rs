//! `Kind`: editors whose habits are known: where they would leave copies of what is edited, and how each is told not to.

use crate::words::{Error, Result};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Which editor it is, as far as copies go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Vim,
    /// Vim with a window; it would leave the terminal at once.
    Gvim,
    Neovim,
    /// Keeps what it would recover after a crash in /var/tmp.
    Nvi,
    Nano,
    Emacs,
    Micro,
    /// Writes nothing but the file: ed, busybox, Helix, Kakoune.
    Modest,
    /// Has a window, and needs this option to wait until it is closed. Keeps copies that nobody can turn off from here.
    Window(&'static str),
    Unknown,
}

/// After the user's own settings. An autocommand could still turn something on again, so the directories are ours as well.
const VIM: &str = "silent! set noswapfile updatecount=0|silent! set nobackup nowritebackup patchmode=\
|silent! set noundofile|silent! set nofixendofline|silent! set viminfo=|silent! set viminfofile=NONE\
|silent! let &directory=$TMPDIR|silent! let &backupdir=$TMPDIR|silent! let &undodir=$TMPDIR";

const NEOVIM: &str = "silent! set noswapfile updatecount=0|silent! set nobackup nowritebackup patchmode=\
|silent! set noundofile|silent! set nofixendofline|silent! set shada=|silent! set shadafile=NONE\
|silent! let &directory=$TMPDIR|silent! let &backupdir=$TMPDIR|silent! let &undodir=$TMPDIR";

/// Emacs evaluates it behind the user's init file and before it opens the file.
const EMACS: &str = "(progn (setq-default backup-inhibited t) (setq make-backup-files nil backup-directory-alist nil \
auto-save-default nil auto-save-list-file-prefix nil auto-save-visited-file-name nil create-lockfiles nil \
undo-tree-auto-save-history nil require-final-newline nil mode-require-final-newline nil) \
(dolist (saver '(recentf-save-list savehist-save savehist-autosave save-place-kill-emacs-hook save-places-to-alist \
desktop-save desktop-kill desktop-auto-save undo-tree-save-history undo-tree-save-history-from-hook \
undo-fu-session-save undo-fu-session-save-safe undohist-save persistent-scratch-save)) \
(ignore-errors (advice-add saver :override 'ignore))))";

/// Others that draw, of whose copies nothing is known.
const SCREEN: [&str; 10] = ["vi", "view", "ex", "joe", "jed", "mcedit", "mg", "ne", "pico", "vis"];

const NANO: &str = "unset backup\nunset historylog\nunset positionlog\nunset locking\nset nonewlines\n";

impl Kind {
    /// By the name of the program behind the links: `vi` is many editors.
    pub fn of(program: &str) -> Self {
        let typed = file_name(Path::new(program));
        let found = in_path(program).and_then(|path| path.canonicalize().ok()).unwrap_or_else(|| program.into());
        match file_name(&found).as_str() {
            "vi" | "ex" | "view" if says(program, "--version", "VIM") => Self::Vim,
            name => Self::named(&typed, name),
        }
    }

    fn named(typed: &str, name: &str) -> Self {
        match (typed, name) {
            ("gvim" | "gview" | "mvim", _) => Self::Gvim,
            (_, name) if name.starts_with("nvim") => Self::Neovim,
            (_, name) if name.starts_with("vim") => Self::Vim,
            (_, "nvi" | "bsd-vi") => Self::Nvi,
            (_, "nano" | "rnano") => Self::Nano,
            (typed, name)
                if typed != "emacsclient" && name.starts_with("emacs") && !name.starts_with("emacsclient") =>
            {
                Self::Emacs
            }
            (_, "micro") => Self::Micro,
            (_, "ed" | "red" | "busybox" | "hx" | "helix" | "kak") => Self::Modest,
            ("kate", _) => Self::Window("--block"),
            (
                "code" | "code-insiders" | "codium" | "vscodium" | "cursor" | "windsurf" | "subl" | "sublime_text"
                | "gedit" | "xed" | "pluma" | "zed" | "zeditor" | "atom" | "mate" | "bbedit",
                _,
            ) => Self::Window("--wait"),
            _ => Self::Unknown,
        }
    }

    /// What the user should know before it opens.
    pub fn warning(self, program: &str) -> Option<String> {
        let name = file_name(Path::new(program));
        match self {
            Self::Window(_) => Some(format!(
                "{name} may keep copies of what is edited (drafts, local history) in directories of its own, and cannot be told not to"
            )),
            Self::Unknown => Some(format!(
                "{name} is not an editor that distribute knows: whether it leaves copies elsewhere (swap, backup, history) is up to its settings"
            )),
            _ => None,
        }
    }

    /// Might it have come back while its window is still open?
    pub fn may_not_wait(self) -> bool {
        matches!(self, Self::Window(_) | Self::Unknown)
    }

    /// Does it draw on a terminal when it is started with these? Not in silent or batch mode, and not where it has a window.
    pub fn draws(self, program: &str, given: &[String]) -> bool {
        let name = file_name(Path::new(program));
        let has = |words: &[&str]| given.iter().any(|word| words.contains(&word.as_str()));
        match self {
            Self::Vim | Self::Neovim | Self::Nvi => {
                let is_ex = name == "ex" || has(&["-e", "-E"]);
                !(has(&["-es", "-Es", "--headless", "--not-a-term"]) || (is_ex && has(&["-s"])))
            }
            Self::Emacs => {
                let has_window = ["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(|name| env::var_os(name).is_some());
                !has(&["-batch", "--batch"]) && (!has_window || has(&["-nw", "--no-window-system"]))
            }
            Self::Nano | Self::Micro => true,
            Self::Modest => !["ed", "red"].contains(&name.as_str()),
            Self::Unknown if name == "emacsclient" => has(&["-t", "-nw", "--tty"]),
            Self::Unknown => SCREEN.contains(&name.as_str()),
            Self::Gvim | Self::Window(_) => false,
        }
    }

    /// Tells it to leave no copies anywhere but in this directory, and to wait.
    pub fn quieten(self, command: &mut Command, program: &str, given: &[String], directory: &Path) -> Result<()> {
        match self {
            Self::Vim => _ = command.args(["-n", "-i", "NONE", "-c", VIM]),
            Self::Gvim => _ = command.args(["-f", "-n", "-i", "NONE", "-c", VIM]),
            Self::Neovim => _ = command.args(["-n", "-i", "NONE", "-c", NEOVIM]),
            Self::Nvi => _ = command.env("EXINIT", exinit(directory)).env_remove("NEXINIT"),
            Self::Nano => _ = command.args(nano_options(program, directory)?),
            Self::Emacs => _ = command.args(["--eval", EMACS]),
            Self::Micro => _ = command.args(micro_options(directory)?),
            Self::Window(wait) if !given.iter().any(|word| word == wait || word == "-w" || word == "-b") => {
                command.arg(wait);
            }
            Self::Window(_) | Self::Modest | Self::Unknown => {}
        }
        Ok(())
    }
}

/// The user's own, then ours.
fn exinit(directory: &Path) -> OsString {
    let mut text = env::var_os("NEXINIT").or_else(|| env::var_os("EXINIT")).unwrap_or_default();
    if !text.is_empty() {
        text.push("|");
    }
    text.push("set recdir=");
    text.push(directory);
    text.push(" directory=");
    text.push(directory);
    text
}

/// The user's settings, then ours, as one file, for nano has no options against its copies. An older one reads none at all.
fn nano_options(program: &str, directory: &Path) -> Result<Vec<OsString>> {
    if !says(program, "--help", "--rcfile") {
        return Ok(vec!["--ignorercfiles".into()]);
    }
    let home = env::var_os("HOME").map(PathBuf::from);
    let own = [home.map(|home| home.join(".nanorc")), config_home().map(|config| config.join("nano/nanorc"))];
    let own = own.into_iter().flatten().find_map(|path| fs::read(path).ok()).unwrap_or_default();
    let system = fs::read("/etc/nanorc").unwrap_or_default();
    let path = directory.join(".nanorc");
    fs::write(&path, [&system[..], b"\n", &own, b"\n", NANO.as_bytes()].concat())
        .map_err(|e| Error::new(format!("writing {}", path.display())).because(e))?;
    let mut option = OsString::from("--rcfile=");
    option.push(path);
    Ok(vec![option])
}

/// With a copy of the user's settings: it keeps backups and histories beside them, and writes options that it is given into them.
fn micro_options(directory: &Path) -> Result<Vec<OsString>> {
    let ours = directory.join(".micro");
    fs::create_dir_all(&ours).map_err(|e| Error::new(format!("making {}", ours.display())).because(e))?;
    let own = env::var_os("MICRO_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(config_home()?.join("micro")));
    for name in ["settings.json", "bindings.json"] {
        if let Some(text) = own.as_ref().and_then(|own| fs::read(own.join(name)).ok()) {
            let path = ours.join(name);
            fs::write(&path, text).map_err(|e| Error::new(format!("writing {}", path.display())).because(e))?;
        }
    }
    let off = ["-backup", "-permbackup", "-savehistory", "-saveundo", "-savecursor", "-eofnewline"];
    let off = off.into_iter().flat_map(|option| [option.into(), "false".into()]);
    Ok([OsString::from("-config-dir"), ours.into()].into_iter().chain(off).collect())
}

/// Where the user's settings lie.
fn config_home() -> Option<PathBuf> {
    let given = env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    given.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".config")))
}

/// Does it print this when it is asked about itself?
fn says(program: &str, option: &str, word: &str) -> bool {
    let output = Command::new(program).arg(option).stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(word))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn in_path(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(program.into());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_are_known_by_what_is_behind_their_names() {
        for (typed, name, kind) in [
            ("vi", "vim.basic", Kind::Vim),
            ("gvim", "vim.gtk3", Kind::Gvim),
            ("vim", "nvim", Kind::Neovim),
            ("vi", "busybox", Kind::Modest),
            ("emacs", "emacs-nox", Kind::Emacs),
            ("emacsclient", "emacsclient.emacs", Kind::Unknown),
            ("editor", "nano", Kind::Nano),
            ("code", "code", Kind::Window("--wait")),
            ("sed", "sed", Kind::Unknown),
        ] {
            assert_eq!(Kind::named(typed, name), kind, "{typed} {name}");
        }
    }

    #[test]
    fn silent_editors_need_no_terminal() {
        let draws = |kind: Kind, line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            kind.draws(&words[0], &words[1..])
        };
        for (kind, line) in [
            (Kind::Vim, "vim -u own"),
            (Kind::Vim, "vim -s keys"),
            (Kind::Neovim, "nvim"),
            (Kind::Nvi, "vi"),
            (Kind::Nano, "/usr/bin/nano"),
            (Kind::Emacs, "emacs -nw"),
            (Kind::Modest, "hx"),
            (Kind::Unknown, "vi"),
            (Kind::Unknown, "emacsclient -t"),
        ] {
            assert!(draws(kind, line), "{line}");
        }
        for (kind, line) in [
            (Kind::Vim, "vim -u own -es -c wq"),
            (Kind::Vim, "vim -e -s"),
            (Kind::Vim, "ex -s"),
            (Kind::Neovim, "nvim --headless"),
            (Kind::Emacs, "emacs --batch"),
            (Kind::Modest, "ed"),
            (Kind::Gvim, "gvim"),
            (Kind::Window("--wait"), "code"),
            (Kind::Unknown, "./vi.sh"),
            (Kind::Unknown, "emacsclient"),
        ] {
            assert!(!draws(kind, line), "{line}");
        }
    }

    #[test]
    fn a_window_is_told_to_wait_once() {
        let told = |given: &[&str]| {
            let mut command = Command::new("code");
            let given: Vec<String> = given.iter().map(|word| (*word).to_owned()).collect();
            Kind::Window("--wait").quieten(&mut command, "code", &given, Path::new("/x")).unwrap();
            command.get_args().count()
        };
        assert_eq!((told(&[]), told(&["-n"]), told(&["--wait"]), told(&["-w"])), (1, 1, 0, 0));
    }
}
