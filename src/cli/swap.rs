//! `swap`: where memory may be written to in clear text.

use std::fs;

/// The swap areas that are in use and neither encrypted nor in memory themselves. What cannot be read counts as none.
pub fn in_clear() -> Vec<String> {
    let list = fs::read_to_string("/proc/swaps").unwrap_or_default();
    in_clear_of(&list, |name| fs::read_to_string(format!("/sys/block/{name}/dm/uuid")).unwrap_or_default())
}

/// dm-crypt gives its devices a UUID that begins with `CRYPT-`.
fn in_clear_of(list: &str, uuid: impl Fn(&str) -> String) -> Vec<String> {
    let areas = list.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    let is_safe = |area: &str| match area.strip_prefix("/dev/") {
        Some(name) => name.starts_with("zram") || uuid(name).starts_with("CRYPT-"),
        None => false,
    };
    areas.filter(|area| !is_safe(area)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_clear_counts() {
        let list = "Filename\t\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 1 0 100\n/dev/dm-1 partition 1 0 -2\n\
                    /dev/dm-2 partition 1 0 -2\n/dev/sda2 partition 1 0 -2\n/swapfile file 1 0 -2\n";
        let uuid = |name: &str| if name == "dm-1" { "CRYPT-PLAIN-swap" } else { "LVM-x" }.to_owned();
        assert_eq!(in_clear_of(list, uuid), ["/dev/dm-2", "/dev/sda2", "/swapfile"]);
        assert!(in_clear_of("Filename\t\tType\n", uuid).is_empty() && in_clear_of("", uuid).is_empty());
    }
}
