//! `bundle edit`: nothing of what is edited comes to lie on a disk, whatever the editor's settings say; and every way out wipes.

use super::room::{POISON, Room};
use super::watched_edit::WatchedEdit;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success();
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

fn can_watch() -> bool {
    has("strace") && has("script")
}

/// An editor that is a script.
fn script(room: &Room, text: &str) -> String {
    room.put("editor", &format!("#!/bin/sh\n{text}\n"));
    room.chmod("editor", 0o755);
    "./editor".to_owned()
}

#[test]
fn no_clear_byte_is_written_outside_memory() {
    if !can_watch() {
        return;
    }
    let room = Room::furnished();
    let editor = script(&room, "t=$(mktemp); cat \"$1\" >\"$t\"; sed -i s/ID=1/ID=7/ \"$1\"; echo X=9 >>\"$1\"");
    let watched = WatchedEdit::run(&room, &editor, "", b"").unwrap();
    watched.assert_only_memory(&room, &[]);
    assert_eq!(room.run(&["bundle", "get", "aws"]).ok().stdout, format!("# the account\nID=7\nSECRET={POISON}\nX=9\n"));
    // An editor that does leave a copy is seen: the check can fail.
    let editor = script(&room, "cat \"$1\" >copy");
    let leaking = WatchedEdit::run(&room, &editor, "", b"").unwrap();
    assert!(leaking.has_leaked(), "{:?} {:?}", leaking.opened, leaking.left);
}

#[test]
fn an_edited_file_stays_in_memory_too_and_keeps_its_bytes() {
    if !can_watch() {
        return;
    }
    let room = Room::furnished();
    room.feed(&["bundle", "set", "tls/key.pem"], format!("{POISON}\r\nno newline\0\u{fe}").as_bytes()).ok();
    let args = ["bundle", "edit", "tls/key.pem"];
    WatchedEdit::of(&room, &args, "sed -i s/newline/NEWLINE/", "", b"").unwrap().assert_only_memory(&room, &[]);
    assert_eq!(room.run(&["bundle", "get", "tls/key.pem"]).ok().stdout, format!("{POISON}\r\nno NEWLINE\0\u{fe}"));
    if has("vim") {
        let editor = "vim -b -c '%s/NEWLINE/end/' -c wq";
        WatchedEdit::of(&room, &args, editor, "", b"").unwrap().assert_only_memory(&room, &[]);
        assert_eq!(room.run(&["bundle", "get", "tls/key.pem"]).ok().stdout, format!("{POISON}\r\nno end\0\u{fe}"));
    }
}

/// A user who wants copies of everything, and what vim does then.
const VIMRC: &str = "set nocompatible backup writebackup undofile swapfile patchmode=.orig updatecount=1
set backupdir=~/copies undodir=~/copies directory=~/copies
set viminfo='100,<1000,s100,h,:100 viminfofile=~/copies/viminfo
autocmd BufReadPost * setlocal undofile swapfile
";

#[test]
fn vim_keeps_no_copies_whatever_its_settings_say() {
    if !can_watch() || !has("vim") {
        return;
    }
    let room = Room::furnished();
    room.put(".vimrc", VIMRC);
    fs::create_dir(room.path("copies")).unwrap();
    let arguments = "-c '%s/ID=1/ID=7/' -c '/SECRET/yank' -c wq";
    let watched = WatchedEdit::run(&room, &format!("vim {arguments}"), "", b"").unwrap();
    watched.assert_only_memory(&room, &[]);
    assert_eq!(room.run(&["bundle", "get", "aws.ID"]).ok().stdout, "7\n", "{}", watched.screen);
    // The same vim as somebody else starts it.
    let untold = script(&room, "exec vim -c '%s/ID=7/ID=8/' -c '/SECRET/yank' -c wq \"$1\"");
    let leaking = WatchedEdit::run(&room, &untold, "", b"").unwrap();
    assert!(leaking.has_leaked(), "these settings do leave copies: {}", leaking.screen);
}

#[test]
fn vim_in_ex_mode_keeps_none_either() {
    if !can_watch() || !has("vim") {
        return;
    }
    let room = Room::furnished();
    room.put("own.vim", VIMRC);
    fs::create_dir(room.path("copies")).unwrap();
    let editor = "vim -u own.vim -es -c '%s/ID=1/ID=7/' -c wq";
    WatchedEdit::run(&room, editor, "", b"").unwrap().assert_only_memory(&room, &[]);
    assert_eq!(room.run(&["bundle", "get", "aws.ID"]).ok().stdout, "7\n");
}

#[test]
fn nano_keeps_no_copies_whatever_its_settings_say() {
    if !can_watch() || !has("nano") {
        return;
    }
    let room = Room::furnished();
    let copies = room.path("copies");
    room.put(
        ".nanorc",
        &format!("set backup\nset backupdir {}\nset historylog\nset positionlog\nset locking\n", copies.display()),
    );
    fs::create_dir(room.path("copies")).unwrap();
    // A comment in front, written out and left.
    let keys = b"# typed\r\x0f\r\x18";
    let watched = WatchedEdit::run(&room, "nano", "GNU nano", keys).unwrap();
    watched.assert_only_memory(&room, &[]);
    assert!(room.run(&["bundle", "get", "aws"]).ok().stdout.starts_with("# typed\n"), "{}", watched.screen);
    // That its settings are read, and ours behind them, shows its lock file.
    let has_lock = |watched: &WatchedEdit| watched.opened.iter().any(|path| path.ends_with(".aws.env.swp"));
    let untold = script(&room, "exec nano \"$1\"");
    assert!(!has_lock(&watched) && has_lock(&WatchedEdit::run(&room, &untold, "GNU nano", keys).unwrap()));
}

#[test]
fn emacs_keeps_no_copies_whatever_its_settings_say() {
    if !can_watch() || !has("emacs") {
        return;
    }
    let room = Room::furnished();
    room.put(
        ".emacs.d/init.el",
        "(setq make-backup-files t backup-by-copying t backup-directory-alist `((\".\" . ,(expand-file-name \"~/copies\")))
      savehist-additional-variables '(kill-ring) savehist-file (expand-file-name \"~/copies/history\"))
(savehist-mode 1) (recentf-mode 1) (auto-save-visited-mode 1)
(add-hook 'emacs-startup-hook (lambda () (goto-char (point-min)) (kill-new (buffer-string))
  (search-forward \"ID=\") (insert \"7\") (set-buffer-modified-p t) (do-auto-save t) (save-buffer) (kill-emacs)))\n",
    );
    fs::create_dir(room.path("copies")).unwrap();
    let watched = WatchedEdit::run(&room, "emacs -nw", "", b"").unwrap();
    // It compiles its own code there.
    watched.assert_only_memory(&room, &[".emacs.d/eln-cache"]);
    assert_eq!(room.run(&["bundle", "get", "aws.ID"]).ok().stdout, "71\n", "{}", watched.screen);
    let untold = script(&room, "exec emacs -nw \"$1\"");
    let leaking = WatchedEdit::run(&room, &untold, "", b"").unwrap();
    assert!(leaking.has_leaked(), "these settings do leave copies: {}", leaking.screen);
}

#[test]
fn nvi_keeps_what_it_would_recover_in_memory() {
    if !can_watch() || !has("nvi") {
        return;
    }
    let room = Room::furnished();
    let watched = WatchedEdit::run(&room, "nvi -c '%s/ID=1/ID=7/'", "Press Enter", b"\r:wq\r").unwrap();
    watched.assert_only_memory(&room, &[]);
    assert_eq!(room.run(&["bundle", "get", "aws.ID"]).ok().stdout, "7\n", "{}", watched.screen);
    // Elsewhere it opens a file in /var/tmp.
    let untold = script(&room, "exec nvi -c '%s/ID=7/ID=8/' \"$1\"");
    let untold = WatchedEdit::run(&room, &untold, "Press Enter", b"\r:wq\r").unwrap();
    assert!(untold.opened.iter().any(|path| path.starts_with("/var/tmp")), "{:?}", untold.opened);
}

#[test]
fn micro_keeps_no_copies_whatever_its_settings_say() {
    if !can_watch() || !has("micro") {
        return;
    }
    let room = Room::furnished();
    let settings =
        r#"{ "backup": true, "permbackup": true, "saveundo": true, "savehistory": true, "savecursor": true }"#;
    room.put(".config/micro/settings.json", settings);
    let keys = b"# typed\r\x13\x11";
    let watched = WatchedEdit::run(&room, "micro", "aws.env", keys).unwrap();
    watched.assert_only_memory(&room, &[]);
    assert_eq!(std::fs::read_to_string(room.path(".config/micro/settings.json")).unwrap(), settings);
    assert!(room.run(&["bundle", "get", "aws"]).ok().stdout.starts_with("# typed\n"), "{}", watched.screen);
    let untold = script(&room, "exec micro \"$1\"");
    let untold = WatchedEdit::run(&room, &untold, "aws.env", keys).unwrap();
    let buffers = std::fs::canonicalize(room.path(".config/micro/buffers")).unwrap();
    assert!(
        untold.opened.iter().any(|path| path.starts_with(&buffers)),
        "it keeps what can be undone: {:?}",
        untold.opened
    );
}

#[test]
fn what_cannot_be_read_is_opened_again_with_the_reason() {
    if !can_watch() {
        return;
    }
    let room = Room::furnished();
    let again = "head -1 \"$1\" >remark; sed -i -e /BROKEN/d -e s/ID=1/ID=7/ \"$1\"";
    let editor = script(&room, &format!("if [ -e once ]; then {again}; else : >once; echo BROKEN >>\"$1\"; fi"));
    let watched = WatchedEdit::run(&room, &editor, "", b"").unwrap();
    watched.assert_only_memory(&room, &["once", "remark"]);
    let remark = fs::read_to_string(room.path("remark")).unwrap();
    assert!(remark.starts_with("#! distribute: line 4: there is no `=`"), "{remark}");
    assert_eq!(room.run(&["bundle", "get", "aws"]).ok().stdout, format!("# the account\nID=7\nSECRET={POISON}\n"));
    // Saved unchanged, it is given up.
    let before = room.bundle();
    let editor = script(&room, "grep -q BROKEN \"$1\" || echo BROKEN >>\"$1\"");
    let given_up = WatchedEdit::run(&room, &editor, "", b"").unwrap();
    assert!(given_up.screen.contains("nothing was changed") && room.bundle() == before, "{}", given_up.screen);
    assert!(given_up.left.is_empty(), "{:?}", given_up.left);
}

#[test]
fn what_a_killed_edit_left_is_wiped_by_the_next() {
    let room = Room::furnished();
    let editor = script(&room, "echo \"$1\" >seen; kill -KILL $PPID");
    assert_eq!(room.edit(&["bundle", "edit", "aws"], &editor).code, -1);
    let left = fs::read_to_string(room.path("seen")).unwrap();
    assert!(fs::exists(left.trim()).unwrap(), "nobody could wipe it");
    room.edit(&["bundle", "edit", "aws"], "true").ok();
    assert!(!fs::exists(left.trim()).unwrap());
}

#[test]
fn every_signal_is_outlived_and_the_text_is_wiped() {
    let room = Room::furnished();
    // Nobody ever writes into it, so whoever reads it waits.
    Command::new("mkfifo").arg(room.path("fifo")).status().unwrap();
    let before = room.bundle();
    for (signal, text, code) in [
        ("INT", "exit 3", 1),
        ("QUIT", "exit 3", 1),
        ("HUP", "exit 3", 130),
        ("TERM", "exit 3", 130),
        // Whatever the editor makes of it, nothing of that is saved.
        ("HUP", "trap 'exit 0' HUP; echo X=9 >>\"$1\"; read -r forever <fifo", 130),
        ("TERM", "trap 'exit 0' TERM; echo X=9 >>\"$1\"; read -r forever <fifo", 130),
        ("TERM", "trap '' TERM; echo X=9 >>\"$1\"; exit 0", 130),
        ("TERM", "trap '' TERM; echo X=9 >>\"$1\"; exec cat fifo", 130),
    ] {
        let (trap, rest) = text.split_once("; ").unwrap_or(("", text));
        let (trap, rest) = if trap.starts_with("trap") { (trap, rest) } else { ("", text) };
        let line = format!("{trap}\necho \"$1\" >seen; cp \"$1\" \"$1.copy\"; kill -{signal} $PPID\n{rest}");
        let said = room.edit(&["bundle", "edit", "aws", "-o", "json"], &script(&room, &line));
        assert_eq!(said.code, code, "{line}: {}", said.stderr);
        assert!(
            serde_json::from_str::<serde_json::Value>(&said.stdout).unwrap()["error"].is_object(),
            "{}",
            said.stdout
        );
        assert!(room.bundle() == before, "{line}");
        let seen = fs::read_to_string(room.path("seen")).unwrap();
        let directory = std::path::Path::new(seen.trim()).parent().unwrap();
        assert!(directory.starts_with("/dev/shm") && !directory.exists(), "{signal}");
    }
}

/// A directory on a disk in its place.
const NO_MEMORY: &str = "mount --bind own /dev/shm && [ $(stat -f -c %T /dev/shm) != tmpfs ]";

#[test]
fn without_memory_it_takes_an_explicit_flag() {
    let room = Room::furnished();
    let edit = |flags: &str, vars: &str| {
        let program = env!("CARGO_BIN_EXE_distribute");
        let line = format!("{NO_MEMORY} && {vars} exec {program} bundle edit aws {flags}");
        let inner = room.command(&[]);
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &line]).current_dir(room.path(".")).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = command.env("EDITOR", "./editor").output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    fs::create_dir(room.path("own")).unwrap();
    let can = Command::new("unshare").args(["-m", "sh", "-c", NO_MEMORY]).current_dir(room.path(".")).output();
    if !can.is_ok_and(|output| output.status.success()) {
        println!("skipped: nothing can be laid over /dev/shm here");
        return;
    }
    script(&room, "echo \"$1\" >seen; stat -c %a \"${1%/*}\" >>seen; sed -i s/ID=1/ID=7/ \"$1\"");
    let before = room.bundle();
    let (code, said) = edit("", "");
    assert!(code == Some(1) && said.contains("no file system in memory") && said.contains("--allow-disk"), "{said}");
    assert!(room.bundle() == before && !room.path("seen").exists());
    let (code, said) = edit("--allow-disk", "TMPDIR=$PWD/own");
    assert!(code == Some(0) && said.contains("ATTENTION: the clear text lies on a disk"), "{said}");
    let seen = fs::read_to_string(room.path("seen")).unwrap();
    let (file, mode) = seen.trim().split_once('\n').unwrap();
    assert!(file.contains("/own/distribute-") && mode == "700" && !fs::exists(file).unwrap(), "{seen}");
    assert_eq!(room.run(&["bundle", "get", "aws.ID"]).ok().stdout, "7\n");
    assert!(super::room::holders(&room.path("."), POISON).is_empty());
}

#[test]
fn an_editor_is_split_into_words_as_a_shell_does() {
    let room = Room::furnished();
    room.put("my editor/run", "#!/bin/sh\n[ \"$1\" = 'a  b' ] && sed -i s/ID=1/ID=7/ \"$2\"\n");
    fs::set_permissions(room.path("my editor/run"), fs::Permissions::from_mode(0o755)).unwrap();
    room.edit(&["bundle", "edit", "aws"], "'my editor/run' \"a  b\"").ok();
    assert_eq!(room.run(&["bundle", "get", "aws.ID"]).ok().stdout, "7\n");
    room.edit(&["bundle", "edit", "aws"], "'my editor/run").fails("EDITOR: a quote is not closed");
}

#[test]
fn an_editor_nobody_knows_and_one_that_does_not_wait_are_told() {
    let room = Room::furnished();
    let before = room.bundle();
    let said = room.edit(&["bundle", "edit", "aws"], "true").ok().stderr;
    assert!(said.contains("true is not an editor that distribute knows") && said.contains("nothing changed"), "{said}");
    // A window that leaves its window behind.
    room.put("bin/code", "#!/bin/sh\necho \"$@\" >seen\n");
    room.chmod("bin/code", 0o755);
    let said = room.edit(&["bundle", "edit", "aws"], "bin/code -n").ok().stderr;
    assert!(said.contains("code may keep copies"), "{said}");
    assert!(fs::read_to_string(room.path("seen")).unwrap().starts_with("--wait -n /dev/shm/"));
    assert_eq!(room.edit(&["bundle", "edit", "aws", "-q"], "true").ok().stderr, "");
    assert_eq!(room.bundle(), before);
}

#[test]
fn what_cannot_be_edited_is_named() {
    let room = Room::furnished();
    let edit = |what: &str| room.edit(&["bundle", "edit", what], "touch ran");
    assert!(edit("tls/cert.pme").fails("no tls/cert.pme").stderr.contains("did you mean tls/cert.pem?"));
    assert!(edit("aws.SECRET").fails("one value").stderr.contains("distribute bundle set aws.SECRET"));
    edit("groups/web/aws.ID").fails("one value");
    edit("a/b/c").fails("does not name a secret");
    assert!(!room.path("ran").exists());
    let args = ["bundle", "edit", "tls/cert.pem", "-o", "json"];
    let report: serde_json::Value = serde_json::from_str(&room.edit(&args, "sed -i s/c/C/").ok().stdout).unwrap();
    assert_eq!((&report["secret"], &report["change"]), (&"tls/cert.pem".into(), &"changed".into()));
    let args = ["bundle", "edit", "tls/cert.pem", "--host", "web1"];
    room.edit(&args, "cp /etc/hostname").ok();
    assert_eq!(room.run(&["bundle", "get", "tls/cert.pem"]).ok().stdout, "Certificate\n");
}

#[test]
fn without_a_terminal_nothing_of_an_editor_gets_into_our_stdout() {
    let room = Room::furnished();
    room.put("bin/vim", "#!/bin/sh\n: >ran\n");
    room.chmod("bin/vim", 0o755);
    let before = room.bundle();
    for editor in ["bin/vim", "bin/vim -c wq"] {
        let said = room.edit(&["bundle", "edit", "aws"], editor).fails("bin/vim needs a terminal");
        assert!(said.stdout.is_empty() && said.stderr.contains("distribute bundle set"), "{}", said.stderr);
    }
    room.run_with(&["bundle", "edit", "aws"], b"", &[]).fails("vi needs a terminal");
    assert!(room.bundle() == before && !room.path("ran").exists());
    // A script may print; the poison would be seen in stdout.
    let editor = script(&room, "cat \"$1\"; sed -i s/ID=1/ID=7/ \"$1\"");
    let said = room.edit(&["bundle", "edit", "aws", "-o", "json"], &editor).ok();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said.stdout).unwrap()["change"], "changed");
    room.edit(&["bundle", "edit", "aws"], "bin/vim -es -c wq").ok();
    assert!(room.path("ran").exists());
}
