//! `Finding`: one departure that was seen: rule, path, expected, found, severity.

/// How bad a departure is; the worse, the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
}

/// Words of the design's rule list; `path` is absolute on the host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    pub rule: &'static str,
    pub path: String,
    pub severity: Severity,
    pub expected: String,
    pub found: String,
    pub fixed: bool,
}
