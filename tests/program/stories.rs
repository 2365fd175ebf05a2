//! What a user would tell of a push, under every shell.

use crate::remote_shell::*;

#[test]
fn first() {
    let host = Host::new("dash");
    let want = Want::new(&host, 1).file("aws.env", format!("A={POISON}\n"));
    assert!(host.deploy(&want).changed());
    assert_eq!(host.secret("aws.env").unwrap(), format!("A={POISON}\n").into_bytes());
    assert!(!host.deploy(&want).changed());
}
