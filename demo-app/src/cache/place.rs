//! Where the desktop's cache lies, also for a program in a flatpak.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use gtk4::glib;

/// What flatpak puts into each of its sandboxes.
const FLATPAK: &str = "/.flatpak-info";

/// The folder `thumbnails`.
pub(super) fn thumbnails() -> PathBuf {
    // In a flatpak the latter is the program's own; the user's is where flatpak says, since 1.15.
    let told = if is_flatpak() { "HOST_XDG_CACHE_HOME" } else { "XDG_CACHE_HOME" };
    cache(env::var_os(told).as_deref(), &glib::home_dir()).join("thumbnails")
}

/// Whether a file bears a name that only this sandbox knows: the document portal's.
pub(super) fn is_private(path: &Path) -> bool {
    is_flatpak() && path.starts_with(glib::user_runtime_dir().join("doc"))
}

fn is_flatpak() -> bool {
    Path::new(FLATPAK).exists()
}

/// Where the variable says, or where it is by default. The base directory specification has a relative path ignored;
/// GLib 2.74 takes it.
fn cache(told: Option<&OsStr>, home: &Path) -> PathBuf {
    match told.map(Path::new) {
        Some(path) if path.is_absolute() => path.to_owned(),
        _ => home.join(".cache"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_the_variable_says_or_the_default() {
        let home = Path::new("/home/jens");
        assert_eq!(cache(None, home), home.join(".cache"));
        assert_eq!(cache(Some(OsStr::new("/var/c")), home), Path::new("/var/c"));
        assert_eq!(cache(Some(OsStr::new("relative")), home), home.join(".cache"));
    }
}
