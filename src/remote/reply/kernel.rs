//! What the kernel says of mounts and swap: lines of its files, each behind the name of the file.

use crate::plan::{HostFacts, Mount};
use crate::words::printable;
use std::collections::BTreeMap;

pub(super) fn read(body: &[u8], facts: &mut HostFacts) {
    let text = String::from_utf8_lossy(body);
    let lines = |file: &str| {
        let head = format!("{file}:");
        text.lines().filter_map(move |line| line.strip_prefix(&head).map(str::to_owned)).collect::<Vec<_>>()
    };
    facts.mounts = lines("/proc/self/mounts").iter().filter_map(|line| mount(line)).collect();
    let encrypted = encrypted(&text);
    let swaps =
        lines("/proc/swaps").into_iter().skip(1).filter_map(|line| Some(line.split_whitespace().next()?.to_owned()));
    facts.clear_swaps =
        swaps.filter(|device| !is_safe(device, &encrypted)).map(|d| printable(d.as_bytes(), 200)).collect();
}

fn mount(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ').skip(1);
    let point = printable(super::quoted::octal(fields.next()?.as_bytes()).as_bytes(), 4096);
    let (kind, options) = (printable(fields.next()?.as_bytes(), 40), printable(fields.next()?.as_bytes(), 400));
    Some(Mount { point, kind, options: options.split(',').map(str::to_owned).collect() })
}

/// Block devices (`dm-0`) that dm-crypt made.
fn encrypted(text: &str) -> BTreeMap<&str, bool> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("/sys/block/")?.split_once("/dm/uuid:"));
    lines.map(|(device, id)| (device, id.starts_with("CRYPT-"))).collect()
}

/// zram is memory.
fn is_safe(device: &str, encrypted: &BTreeMap<&str, bool>) -> bool {
    let name = device.strip_prefix("/dev/").unwrap_or(device);
    name.starts_with("zram") || encrypted.get(name).copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It may end on a terminal.
    #[test]
    fn the_name_of_a_mount_point_is_shown_not_sent() {
        let mut facts = HostFacts::default();
        read(b"/proc/self/mounts:tmpfs /opt/\\033[31m tmpfs rw 0 0\n", &mut facts);
        assert_eq!(facts.mounts[0].point, "/opt/\\u{1b}[31m");
    }

    #[test]
    fn mounts_and_swaps() {
        let text = b"/proc/self/mounts:tmpfs /opt/my\\040app tmpfs rw,mode=755 0 0\n\
            /proc/swaps:Filename\tType\tSize\tUsed\tPriority\n\
            /proc/swaps:/dev/dm-0 partition 1 0 -2\n/proc/swaps:/dev/dm-1 partition 1 0 -2\n\
            /proc/swaps:/dev/zram0 partition 1 0 -2\n/proc/swaps:/swapfile file 1 0 -2\n\
            /sys/block/dm-0/dm/uuid:CRYPT-PLAIN-swap\n/sys/block/dm-1/dm/uuid:LVM-x\n";
        let mut facts = HostFacts::default();
        read(text, &mut facts);
        assert_eq!(facts.clear_swaps, ["/dev/dm-1", "/swapfile"]);
        let options = vec!["rw".to_owned(), "mode=755".to_owned()];
        assert_eq!(facts.mounts, [Mount { point: "/opt/my app".to_owned(), kind: "tmpfs".to_owned(), options }]);
        assert!(facts.mount_of("/opt/my app/secrets").is_some() && facts.mount_of("/opt/my apple").is_none());
    }
}
