//! Files that are written whole or not at all.
//!
//! The bytes go to a temporary file in the same folder, which is synced and
//! renamed over the target; then the folder is synced. Whatever happens
//! meanwhile, a reader sees the old file or the new one, never a half. A command
//! that is told to stop calls [`shut_down`] so that no temporary file stays.

use crate::{Error, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;

const PREFIX: &str = ".alice-";
const SUFFIX: &str = ".tmp";

/// Writes `bytes` to `path`, creating the folders above it.
///
/// A symbolic link keeps pointing at its target, which is replaced. A device
/// or a pipe (`/dev/stdout`) is written to directly, since it cannot be
/// renamed.
///
/// # Errors
/// When the disk is full, the folder cannot be written, the path is a folder,
/// or the existing file is write-protected. The target is then as it was and
/// no temporary file remains.
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    write_with(path, |out| out.write_all(bytes))
}

/// As [`fn@write`], with the bytes produced piece by piece by `fill`.
///
/// # Errors
/// As [`fn@write`], and when `fill` fails.
pub fn write_with(
    path: impl AsRef<Path>,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    let explained = |e| Error::disk(path, e);
    let target = match find_target(path)? {
        Target::File(target) => target,
        Target::Stream(mut file) => {
            return fill(&mut file)
                .and_then(|()| file.flush())
                .map_err(explained);
        }
    };
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(|e| Error::disk(folder, not_a_folder(folder, e)))?;

    // Dropped on every error below, and then removed.
    let (mut temporary, _registered) = create_in(folder).map_err(|e| explained(plain(e)))?;
    {
        let mut out = BufWriter::with_capacity(1 << 16, temporary.as_file_mut());
        fill(&mut out).map_err(explained)?;
        out.flush().map_err(explained)?;
    }
    temporary.as_file().sync_all().map_err(explained)?;
    rename(temporary, &target).map_err(explained)?;
    sync_folder(folder).map_err(explained)
}

/// Removes every temporary file of this process and lets no write end any
/// more: a thread that is writing waits for the process to exit.
///
/// For the handler of Ctrl-C, which exits right after.
pub fn shut_down() {
    let unfinished = unfinished();
    for path in unfinished.iter() {
        // Already gone, or the disk is: there is nobody left to tell.
        let _ = fs::remove_file(path);
    }
    std::mem::forget(unfinished);
}

/// Until it is dropped, [`shut_down`] waits, as do other writes; nothing may be
/// written by this thread.
#[must_use]
pub(crate) fn uninterrupted() -> impl Drop {
    unfinished()
}

/// Removes temporary files that an earlier, killed process left in `folder`.
/// Only for a folder that no other process is writing to.
///
/// # Errors
/// When the folder cannot be read or a file cannot be removed.
pub fn sweep(folder: impl AsRef<Path>) -> Result<()> {
    for path in crate::disk::list(folder)? {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        if is_temporary(name) {
            fs::remove_file(&path).map_err(|e| Error::disk(&path, e))?;
        }
    }
    Ok(())
}

/// Whether a file name is one of our temporary files'.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

/// The temporary files there are. A file is created and renamed under this
/// lock, so [`shut_down`] misses none.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A panic elsewhere leaves the set as good as it was.
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a path among the unfinished until it is dropped.
struct Registered(PathBuf);

impl Drop for Registered {
    fn drop(&mut self) {
        unfinished().remove(&self.0);
    }
}

/// A temporary file, which is removed when dropped.
fn create_in(folder: &Path) -> io::Result<(NamedTempFile, Registered)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        // An ordinary file: the umask decides, not the private mode of temporary files.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut unfinished = unfinished();
    let file = builder.tempfile_in(folder)?;
    let path = file.path().to_path_buf();
    unfinished.insert(path.clone());
    Ok((file, Registered(path)))
}

fn rename(temporary: NamedTempFile, target: &Path) -> io::Result<()> {
    let _unfinished = unfinished();
    temporary.persist(target).map_err(|e| e.error)?;
    Ok(())
}

enum Target {
    /// A file to replace, or a new one.
    File(PathBuf),
    /// A device or a pipe.
    Stream(File),
}

fn find_target(path: &Path) -> Result<Target> {
    let explained = |e| Error::disk(path, e);
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Target::File(path.to_path_buf())),
        Err(e) => Err(explained(e)),
        Ok(found) if found.is_dir() => Err(explained(io::ErrorKind::IsADirectory.into())),
        Ok(found) if !found.is_file() => {
            let file = File::options().write(true).open(path).map_err(explained)?;
            Ok(Target::Stream(file))
        }
        Ok(found) if found.permissions().readonly() => Err(Error::Disk {
            path: path.to_path_buf(),
            what: "the existing file is write-protected".into(),
            hint: "Choose another name, or remove its protection".into(),
            source: io::ErrorKind::PermissionDenied.into(),
        }),
        Ok(_) => fs::canonicalize(path).map(Target::File).map_err(explained),
    }
}

/// `create_dir_all` says "exists" when a file stands where a folder is needed.
fn not_a_folder(folder: &Path, error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::AlreadyExists && !folder.is_dir() {
        io::ErrorKind::NotADirectory.into()
    } else {
        error
    }
}

/// The system's error without the temporary file's name around it.
fn plain(error: io::Error) -> io::Error {
    error.kind().into()
}

/// Makes the rename durable, where folders can be opened and synced.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    // A folder may be writable but not readable; the file itself is safe by now.
    let Ok(handle) = File::open(folder) else {
        return Ok(());
    };
    match handle.sync_all() {
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

#[cfg(test)]
mod tests;
