//! The password of TCP clients, from its file. In a file because options and environments of a process can be read by
//! others, and because what is no setting cannot be shown by mistake.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;

/// Shorter ones can be tried out: nothing slows a client of this machine down.
const BYTES_MIN: usize = 8;

/// More than anybody means; also what a request may have before it.
const BYTES_MAX: usize = 512;

const READABLE_BY_OTHERS: u32 = 0o004;
const WRITABLE_BY_OTHERS: u32 = 0o002;

/// Reads the first line of the file.
///
/// # Errors
/// What is wrong with the file and what to do, as the end of a sentence that begins with the setting.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let system = |error: io::Error| format!("cannot be read: {}: {error}", path.display());
    // Without waiting, should it be a pipe.
    let options = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).clone();
    let file = options.open(path).map_err(system)?;
    let metadata = file.metadata().map_err(system)?;
    if !metadata.is_file() {
        return Err(format!("is no file: {}", path.display()));
    }
    let (owner, us) = (metadata.uid(), geteuid().as_raw());
    if owner != us && owner != 0 {
        return Err(format!("belongs to user {owner} and not to user {us} or root: {}", path.display()));
    }
    let mode = metadata.mode();
    if mode & (READABLE_BY_OTHERS | WRITABLE_BY_OTHERS) != 0 {
        return Err(format!(
            "is open to everyone: {} has mode {:04o}; take that away with chmod o-rw",
            path.display(),
            mode & 0o7777
        ));
    }
    let mut text = Vec::new();
    file.take(BYTES_MAX as u64 + 2).read_to_end(&mut text).map_err(system)?;
    let line = text.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    if !(BYTES_MIN..=BYTES_MAX).contains(&line.len()) {
        return Err(format!(
            "holds no usable password: the first line of {} has {} bytes, and {BYTES_MIN} to {BYTES_MAX} are needed",
            path.display(),
            line.len()
        ));
    }
    Ok(line.to_vec())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_first_line_counts_and_the_file_must_be_ours() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        let with = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            read(&path)
        };
        assert_eq!(with("correct horse\nanother line\n", 0o600).unwrap(), b"correct horse");
        assert_eq!(with("correct horse", 0o640).unwrap(), b"correct horse");
        for (text, mode, why) in [
            ("correct horse", 0o644, "is open to everyone"),
            ("correct horse", 0o602, "mode 0602; take that away"),
            ("short\n", 0o600, "has 5 bytes, and 8 to 512 are needed"),
            ("\ncorrect horse", 0o600, "has 0 bytes"),
        ] {
            let error = with(text, mode).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let error = read(directory.path()).unwrap_err();
        assert!(error.contains("is no file"), "{error}");
        let error = read(&directory.path().join("absent")).unwrap_err();
        assert!(error.contains("cannot be read") && error.contains("absent"), "{error}");
    }
}
