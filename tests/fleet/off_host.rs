//! Sealed copies in a bucket of a real S3 server.

use crate::backups::sealed;
use crate::host::Spec;
use crate::seaweedfs::{PLAIN, READER, Seaweedfs};
use crate::workspace::{ROOT, Workspace, error, is_root, of};
use std::fs;

#[test]
fn a_bucket_takes_what_is_new_and_keeps_it() {
    if !is_root() {
        return;
    }
    let Some(server) = Seaweedfs::shared() else { return };
    server.make_locked_bucket("sealed");
    let mut ws = Workspace::new();
    ws.add("web1", Spec::default(), "");
    ws.add("web2", Spec::busybox(), "");
    ws.setup();
    let credentials = |(key_id, secret): (&str, &str)| {
        let variables = [
            ("AWS_ACCESS_KEY_ID", key_id.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
            ("AWS_ENDPOINT_URL", server.endpoint()),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).to_vec()
    };
    let fetch = ["backup", "fetch", "--to", "s3://sealed/fleet"];
    let refused = ws.run(&fetch).expect(1).stderr;
    assert!(refused.contains("AWS_ACCESS_KEY_ID"), "{refused}");
    ws.exports = credentials(READER);
    let report = ws.json(&fetch, 2);
    assert!(error(&report, "web1").contains("s3://sealed/fleet"), "{}", error(&report, "web1"));

    ws.exports = credentials(PLAIN);
    let report = ws.json(&fetch, 0);
    for host in &ws.hosts {
        assert_eq!(of(&report, &host.name)["backups"][0]["deed"], "fetched");
        let name = sealed(host).pop().unwrap();
        let path = format!("/sealed/fleet/{}/{name}", host.name);
        assert!(server.ask(PLAIN, "HEAD", &path, "", &[], b"").is_some_and(|(status, _)| status == 200), "{path}");
        // Who can put cannot take away, as long as the bucket holds it.
        let versions = server.must(crate::seaweedfs::ADMIN, "GET", "/sealed", "versions=", &[], b"");
        let version = versions.split(&format!("fleet/{}/{name}</Key><VersionId>", host.name)).nth(1).unwrap();
        let version = version.split('<').next().unwrap();
        let (status, answer) = server.ask(PLAIN, "DELETE", &path, &format!("versionId={version}"), &[], b"").unwrap();
        assert_eq!(status, 403, "{answer}");
    }
    assert_eq!(of(&ws.json(&fetch, 0), "web1")["backups"][0]["deed"], "fetched-before");
    // Another content under a name that is taken.
    let host = ws.host("web2");
    let name = sealed(host).pop().unwrap();
    let receipt = format!("{ROOT}/.distribute/receipt.{}", name.strip_suffix(".tar.gz.age").unwrap());
    fs::remove_file(host.path(&receipt)).unwrap();
    host.sh(&format!("echo more >> {ROOT}/backups/{name}"));
    let report = ws.json(&fetch, 2);
    assert!(error(&report, "web2").contains("something else lies there already"), "{}", error(&report, "web2"));
    assert_eq!(of(&report, "web1")["outcome"], "ok");
    for (_, secret) in [PLAIN, READER] {
        ws.assert_nowhere(secret, Vec::new(), |_| false);
    }
    ws.assert_no_leak();
}
