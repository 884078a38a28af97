//! Where the desktop's cache lies, also for a program in a flatpak.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use gtk4::glib;

/// What flatpak puts into each of its sandboxes.
const FLATPAK: &str = "/.flatpak-info";

/// The folder `thumbnails`.
pub(super) fn thumbnails() -> PathBuf {
    let cache = if is_flatpak() {
        host_cache(std::env::var_os("HOST_XDG_CACHE_HOME").as_deref(), &glib::home_dir())
    } else {
        glib::user_cache_dir()
    };
    cache.join("thumbnails")
}

/// Whether a file bears a name that only this sandbox knows: the document portal's.
pub(super) fn is_private(path: &Path) -> bool {
    is_flatpak() && path.starts_with(glib::user_runtime_dir().join("doc"))
}

fn is_flatpak() -> bool {
    Path::new(FLATPAK).exists()
}

/// In a flatpak `XDG_CACHE_HOME` is the program's own. The user's is where flatpak says, since 1.15, or
/// where it is by default.
fn host_cache(told: Option<&OsStr>, home: &Path) -> PathBuf {
    match told.map(Path::new) {
        Some(path) if path.is_absolute() => path.to_owned(),
        _ => home.join(".cache"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_cache_is_where_flatpak_says_or_the_default() {
        let home = Path::new("/home/jens");
        assert_eq!(host_cache(None, home), home.join(".cache"));
        assert_eq!(host_cache(Some(OsStr::new("/var/c")), home), Path::new("/var/c"));
        assert_eq!(host_cache(Some(OsStr::new("relative")), home), home.join(".cache"));
    }
}
