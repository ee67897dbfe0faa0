use super::*;
use crate::disk::list;

#[test]
fn creates_folders_and_replaces_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c.bin");
    write(&path, b"first, and longer").unwrap();
    write(&path, b"second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(list(path.parent().unwrap()).unwrap(), [path]);
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keep.txt");
    write(&path, b"old").unwrap();
    let error = write_with(&path, |out| {
        out.write_all(&[0; 200_000])?;
        Err(io::ErrorKind::StorageFull.into())
    })
    .unwrap_err();
    assert!(error.what().contains("full") && error.path() == path);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(list(folder.path()).unwrap(), [path]);
}

#[test]
fn a_panic_while_writing_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let caught = std::panic::catch_unwind(|| {
        let _ = write_with(&path, |_| panic!("interrupted"));
    });
    assert!(caught.is_err());
    assert!(list(folder.path()).unwrap().is_empty());
}

#[test]
fn paths_that_cannot_be_files_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(folder.path(), b"").unwrap_err();
    assert!(error.what().contains("is a folder"), "{error}");

    let file = folder.path().join("file");
    write(&file, b"").unwrap();
    let error = write(file.join("below"), b"").unwrap_err();
    assert!(error.what().contains("file where a folder"), "{error}");
    let error = write(file.join("far/below"), b"").unwrap_err();
    assert!(error.what().contains("file where a folder"), "{error}");

    let error = write(folder.path().join("n".repeat(5000)), b"").unwrap_err();
    assert!(error.what().contains("name is too long"), "{error}");
    assert!(write("", b"").is_err());
}

#[test]
fn a_write_protected_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keep");
    write(&path, b"old").unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    assert!(
        write(&path, b"new")
            .unwrap_err()
            .what()
            .contains("protected")
    );
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn sweeping_removes_only_our_temporary_files() {
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().join(".alice-notes");
    fs::write(&keep, b"").unwrap();
    fs::write(folder.path().join(".alice-Xy12.tmp"), b"half").unwrap();
    sweep(folder.path()).unwrap();
    assert_eq!(list(folder.path()).unwrap(), [keep]);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// The kernel's own "no space left" through the whole write path.
    #[test]
    fn a_full_device_is_explained() {
        if !Path::new("/dev/full").exists() {
            return;
        }
        let error = write("/dev/full", b"x").unwrap_err();
        assert!(error.what().contains("disk is full"), "{error}");
        assert!(error.hint().contains("Free some space"));

        let folder = tempfile::tempdir().unwrap();
        let error = write_with(folder.path().join("x"), |_| {
            File::options()
                .write(true)
                .open("/dev/full")?
                .write_all(b"x")
        })
        .unwrap_err();
        assert!(error.what().contains("disk is full"), "{error}");
        assert!(list(folder.path()).unwrap().is_empty());
    }

    #[test]
    fn devices_are_written_to_and_never_replaced() {
        write("/dev/null", b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_symbolic_link_keeps_pointing() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, b"old").unwrap();
        symlink(&real, &link).unwrap();
        write(&link, b"new").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn files_are_as_readable_as_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write(&ours, b"").unwrap();
        fs::write(&plain, b"").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(ours), mode(plain));
    }

    /// Skipped for root, whom permissions do not stop.
    #[test]
    fn an_unwritable_folder_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
        if fs::write(folder.path().join("probe"), b"").is_ok() {
            return;
        }
        let error = write(folder.path().join("x"), b"").unwrap_err();
        assert!(error.what().contains("permission denied"), "{error}");
    }
}
