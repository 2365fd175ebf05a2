//! `printable`: what a host or a file says, made safe for a terminal and a log.

/// Every control character, escape, bidirectional mark and broken byte is written as an escape; at most `limit` characters are kept.
pub fn printable(bytes: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    // Also secrets come through here, to be found in a text: what grows leaves copies behind.
    let mut shown = String::with_capacity(text.len().min(limit.saturating_mul(4)));
    for (count, c) in text.trim_end().chars().enumerate() {
        if count == limit {
            shown.push('…');
            break;
        }
        match c {
            '\n' | '\t' => shown.push(' '),
            c if c.is_control() || is_invisible(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// Marks that reorder or hide text (CVE-2021-42574 and its kin).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_shown_not_sent() {
        let shown = printable(b"\x1b[31mred\x07\xff\xc2\x9b \xe2\x80\xae\n", 80);
        assert!(!shown.chars().any(|c| c.is_control() || is_invisible(c)), "{shown:?}");
        assert!(shown.contains("\\u{1b}[31mred"));
        assert_eq!(printable(b"abcdef", 3), "abc…");
        assert_eq!(printable(shown.as_bytes(), 80), shown);
    }
}
