//! `Manifest`: what a Kubernetes Secret is called, and where.

use crate::words::{Error, Result, ServiceName};

/// Checked: a DNS-1123 subdomain, and a label if there is a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    name: String,
    namespace: Option<String>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { name: "secrets".to_owned(), namespace: None }
    }
}

impl Manifest {
    /// Called as the service, in lower case.
    pub fn of(service: &ServiceName, namespace: Option<&str>) -> Result<Self> {
        let name = service.as_str().to_ascii_lowercase();
        if !name.split('.').all(is_label) {
            let error = Error::new(format!("`{service}` cannot be the name of a Kubernetes object"));
            return Err(error.hint("letters, digits, `-` and `.`, with a letter or digit at both ends of each part"));
        }
        if let Some(namespace) = namespace.filter(|namespace| namespace.len() > 63 || !is_label(namespace)) {
            let error =
                Error::new(format!("`{}` cannot be the name of a Kubernetes namespace", namespace.escape_debug()));
            return Err(error.hint("small letters, digits and `-`, 63 at most, with a letter or digit at both ends"));
        }
        Ok(Self { name, namespace: namespace.map(str::to_owned) })
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `metadata.namespace`; without one, that of whoever applies it.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }
}

/// The API holds the parts of a subdomain to no length of their own.
fn is_label(part: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(is_inner)
}
