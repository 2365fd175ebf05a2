//! This machine as a host: the same answers as over SSH, and nothing left when it is dropped.

use super::sshd::wait_for;
use super::story;
use super::way::{Keys, endpoint_at, run};
use distribute::inventory;
use distribute::transport::{Connection, Deadlines, HostKeys, Output, connect};

async fn here() -> Connection {
    let mut endpoint = endpoint_at("localhost", 22, "root", None);
    endpoint.connection = inventory::Connection::Local;
    let host_keys = HostKeys::Pinned(Vec::new());
    connect(&endpoint, &host_keys, &Keys::none().login(), &Deadlines::default()).await.unwrap()
}

#[test]
fn a_local_command_runs_with_little_around_it() {
    story(async {
        let mut here = here().await;
        assert_eq!((here.host_key(), here.peer().as_str()), (None, "local"));
        let ran = run(&mut here, "cat; echo trouble >&2; exit 7", b"payload").await;
        assert_eq!((ran.out(), ran.err(), ran.exit), ("payload", "trouble\n", Some(7)));
        let ran = run(&mut here, "env | sed 's/=.*//' | sort | tr '\\n' ' '", b"").await;
        let names: Vec<&str> =
            ran.out().split_whitespace().filter(|name| !matches!(*name, "PWD" | "_" | "SHLVL")).collect();
        assert_eq!(names, ["HOME", "LANG", "PATH"]);
        let ran = run(&mut here, "kill -9 $$", b"").await;
        assert_eq!((ran.exit, ran.signal.as_deref()), (None, Some("KILL")));
        let payload = vec![b'x'; 8 << 20];
        assert!(run(&mut here, "cat", &payload).await.out == payload);
        assert_eq!(run(&mut here, "exit 3", &payload).await.exit, Some(3), "nobody waits for a reader that has gone");
        let background = run(&mut here, "sleep 60 & echo $!; exit 5", b"").await;
        assert_eq!(background.exit, Some(5), "a child that keeps stdout does not hold us");
        run(&mut here, &format!("kill {}", background.out()), b"").await;
        here.close().await;
    });
}

#[test]
fn a_dropped_local_command_dies_with_its_children() {
    story(async {
        let mut here = here().await;
        let mut channel = here.exec("sleep 600 & echo $! $$; sleep 600").await.unwrap();
        let Some(Output::Stdout(pids)) = channel.next().await else { panic!("no output") };
        let pids: Vec<i32> =
            String::from_utf8(pids.to_vec()).unwrap().split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        assert_eq!(pids.len(), 2);
        drop(channel);
        let gone = tokio::task::spawn_blocking(move || {
            wait_for("the group to die", || pids.iter().all(|pid| is_dead(*pid)));
        });
        gone.await.unwrap();
    });
}

/// Gone, or a corpse that whoever inherited it has not collected.
fn is_dead(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}
