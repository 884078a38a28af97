//! A picture as the cache knows it: by its URI and the time of its last change.

use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gtk4::glib::{self, ChecksumType};
use rustix::fs::Stat;
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::png::{self, Keys};

/// How long a file must have been left alone: it may still be being copied.
const SETTLED: Duration = Duration::from_secs(3);

/// A picture that was opened.
#[derive(Clone, Debug)]
pub struct Original {
    path: PathBuf,
    /// As GLib escapes it, on which all programs agree.
    uri: String,
    /// Where the file really is, whatever links led there.
    real: PathBuf,
    changed: Timespec,
    /// In octets.
    size: i64,
}

impl Original {
    /// What is known of `file`, which was opened as `path`; `None` if the cache has no place for it: the
    /// path is relative, or the file has no time.
    pub fn of(path: &Path, file: &impl AsFd) -> Option<Self> {
        let about = rustix::fs::fstat(file).ok()?;
        let real = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
        Some(Self {
            path: path.into(),
            uri: glib::filename_to_uri(path, None).ok()?.into(),
            real: std::fs::read_link(real).ok()?,
            changed: changed(&about),
            size: about.st_size,
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    pub(super) fn mtime(&self) -> i64 {
        self.changed.tv_sec
    }

    pub(super) fn folder(&self) -> Option<&Path> {
        self.path.parent()
    }

    /// The name of its thumbnails.
    pub(super) fn name(&self) -> String {
        hashed(&self.uri)
    }

    /// The name of its thumbnails beside it: there the URI is relative, the last part alone.
    pub(super) fn name_beside(&self) -> Option<String> {
        self.uri.rsplit('/').next().map(hashed)
    }

    /// How long it has still to be left alone, if it has. A time that is still to come says nothing.
    pub(super) fn settles_in(&self) -> Option<Duration> {
        let now = clock_gettime(ClockId::Realtime);
        let age = Duration::try_from(now.checked_sub(self.changed)?).ok()?;
        SETTLED.checked_sub(age).filter(|left| !left.is_zero())
    }

    /// Whether its name stands for the same file still, and nothing was written to that.
    pub(super) fn is_unchanged(&self) -> bool {
        rustix::fs::stat(&self.path)
            .is_ok_and(|about| (changed(&about), about.st_size) == (self.changed, self.size))
    }

    pub(super) fn is_in(&self, folder: &Path) -> bool {
        self.path.starts_with(folder)
            || folder.canonicalize().is_ok_and(|folder| self.real.starts_with(folder))
    }

    /// What every file about it says.
    pub(super) fn keys(&self) -> Keys {
        Keys::default()
            .with(png::URI, &self.uri)
            .with(png::MTIME, self.mtime().to_string())
            .with("Thumb::Size", self.size.to_string())
            .with("Software", concat!("tine-viewer ", env!("CARGO_PKG_VERSION")))
    }
}

/// The time of the last change.
fn changed(about: &Stat) -> Timespec {
    Timespec { tv_sec: about.st_mtime, tv_nsec: about.st_mtime_nsec.cast_signed() }
}

fn hashed(uri: &str) -> String {
    let digest = glib::compute_checksum_for_string(ChecksumType::Md5, uri);
    let mut name = digest.expect("GLib has MD5").to_string();
    name.push_str(".png");
    name
}
