//! The one error type: what is wrong, where, and what to do.

use std::io;
use std::path::{Path, PathBuf};

/// The result of anything that touches files.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, where, and what to do about it.
///
/// `path` is the file or folder, or the name the caller gave to bytes in
/// memory. `what` and `hint` are sentences without a full stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write.
    #[error("{}: {what}. {hint}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
        /// The system's own error.
        source: io::Error,
    },
    /// A tensor file is broken or does not hold what is needed.
    #[error("{}: {}{what}. {hint}", path.display(), tensor_prefix(tensor.as_deref()))]
    Tensors {
        /// The file.
        path: PathBuf,
        /// The tensor concerned, if it is about one.
        tensor: Option<String>,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A picture cannot be read or written.
    #[error("{}: {what}. {hint}", path.display())]
    Picture {
        /// The picture.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A recipe, a configuration or another text cannot be understood.
    #[error("{}: {what}. {hint}", path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A run folder cannot be used.
    #[error("{}: {what}. {hint}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
}

impl Error {
    /// The file or folder concerned.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Disk { path, .. }
            | Self::Tensors { path, .. }
            | Self::Picture { path, .. }
            | Self::Text { path, .. }
            | Self::Folder { path, .. } => path,
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn what(&self) -> &str {
        match self {
            Self::Disk { what, .. }
            | Self::Tensors { what, .. }
            | Self::Picture { what, .. }
            | Self::Text { what, .. }
            | Self::Folder { what, .. } => what,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Disk { hint, .. }
            | Self::Tensors { hint, .. }
            | Self::Picture { hint, .. }
            | Self::Text { hint, .. }
            | Self::Folder { hint, .. } => hint,
        }
    }

    /// A system error, explained.
    pub(crate) fn disk(path: &Path, source: io::Error) -> Self {
        let (what, hint) = explain(&source);
        Self::Disk {
            path: path.to_path_buf(),
            what,
            hint: hint.to_owned(),
            source,
        }
    }

    pub(crate) fn tensors(
        path: &Path,
        tensor: Option<&str>,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::Tensors {
            path: path.to_path_buf(),
            tensor: tensor.map(str::to_owned),
            what: what.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn picture(path: &Path, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Picture {
            path: path.to_path_buf(),
            what: what.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn text(path: &Path, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Text {
            path: path.to_path_buf(),
            what: what.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn folder(path: &Path, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Folder {
            path: path.to_path_buf(),
            what: what.into(),
            hint: hint.into(),
        }
    }
}

/// A system error in plain words, and what to do.
fn explain(error: &io::Error) -> (String, &'static str) {
    use io::ErrorKind as Kind;
    let (what, hint) = match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => (
            "the disk is full",
            "Free some space, or choose a folder on another disk",
        ),
        Kind::FileTooLarge => (
            "the file is larger than this disk allows",
            "Choose a folder on another disk, or write less",
        ),
        Kind::PermissionDenied => (
            "permission denied",
            "Choose a folder you own, or change its permissions",
        ),
        Kind::ReadOnlyFilesystem => (
            "the disk is read-only",
            "Choose a folder on a disk you can write to",
        ),
        Kind::NotFound => (
            "there is no such file or folder",
            "Check the path for a typing error",
        ),
        Kind::NotADirectory => (
            "a part of this path is a file where a folder is needed",
            "Choose another path, or move that file away",
        ),
        Kind::IsADirectory => (
            "this is a folder, and a file is needed",
            "Name a file inside it",
        ),
        Kind::InvalidFilename => (
            "the name is too long or has characters this disk refuses",
            "Choose a shorter name",
        ),
        _ => {
            return (
                format!("the system says: {error}"),
                "Check the disk and try again",
            );
        }
    };
    (what.to_owned(), hint)
}

fn tensor_prefix(tensor: Option<&str>) -> String {
    tensor.map_or_else(String::new, |name| format!("tensor {}: ", shown(name)))
}

/// Text from an untrusted file, safe to show on a terminal: escaped, and cut
/// when it is long.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 96;
    let cut: String = text.chars().take(LONGEST).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", cut.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_are_explained() {
        for (kind, word) in [
            (io::ErrorKind::StorageFull, "full"),
            (io::ErrorKind::QuotaExceeded, "full"),
            (io::ErrorKind::PermissionDenied, "permission"),
            (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
            (io::ErrorKind::NotFound, "no such"),
            (io::ErrorKind::NotADirectory, "folder is needed"),
            (io::ErrorKind::IsADirectory, "is a folder"),
        ] {
            let error = Error::disk(Path::new("out/x.png"), kind.into());
            assert!(error.what().contains(word), "{kind:?}: {error}");
            assert!(error.to_string().starts_with("out/x.png: "));
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn hostile_names_are_escaped_and_cut() {
        assert_eq!(shown("a\u{1b}[2J\n"), "\"a\\u{1b}[2J\\n\"");
        assert!(shown(&"x".repeat(10_000)).chars().count() < 110);
    }
}
