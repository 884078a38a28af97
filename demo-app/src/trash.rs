//! Gets files back from the trash. GIO shows the trash as a folder, `trash:///`, when GVfs runs; without
//! it, as under a bare window manager, the trash is looked through as the freedesktop standard has it.

use gtk4::prelude::*;
use gtk4::{gio, glib};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::catalog::Catalog;
use crate::id_set::IdSet;

/// Puts back what was last trashed of each of these; gives those that are back.
pub async fn restore(catalog: Catalog, ids: IdSet) -> IdSet {
    let by_standard = gio::spawn_blocking(move || {
        let infos = infos(&home_trash());
        let (mut back, mut left) = (IdSet::default(), HashMap::new());
        for id in ids.iter() {
            let path = catalog.path(id);
            match infos.get(&path).is_some_and(|name| put_back(name, &path).is_ok()) {
                true => back.extend([id]),
                false => left.extend([(path, id)]),
            }
        }
        (back, left)
    });
    // A panic in there has said so.
    let (mut back, left) = by_standard.await.unwrap_or_default();
    if !left.is_empty() {
        back.extend(restore_by_gvfs(left).await);
    }
    back
}

/// The trash of the home's file system.
fn home_trash() -> PathBuf {
    glib::user_data_dir().join("Trash")
}

/// Names in the trash by where they came from, those trashed last.
fn infos(trash: &Path) -> HashMap<PathBuf, OsString> {
    let mut latest: HashMap<PathBuf, (String, OsString)> = HashMap::new();
    let entries = fs::read_dir(trash.join("info")).into_iter().flatten().flatten();
    for info in entries.map(|entry| entry.path()) {
        let file = glib::KeyFile::new();
        if file.load_from_file(&info, glib::KeyFileFlags::NONE).is_err() {
            continue;
        }
        let value = |key| file.string("Trash Info", key).ok();
        let (Some(path), Some(date), Some(name)) =
            (value("Path"), value("DeletionDate"), info.file_stem())
        else {
            continue;
        };
        // Names are octets, of no encoding.
        let Ok(path) = glib::Uri::unescape_bytes(&path, None) else { continue };
        let path = PathBuf::from(OsString::from_vec(path.to_vec()));
        if latest.get(&path).is_none_or(|known| *known.0 <= *date) {
            latest.insert(path, (date.into(), name.to_owned()));
        }
    }
    latest.into_iter().map(|(path, (_, name))| (path, name)).collect()
}

/// Moves a file of the home's trash to `path`, unless there is something by now.
fn put_back(name: &OsString, path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let trash = home_trash();
    renameat_with(CWD, trash.join("files").join(name), CWD, path, RenameFlags::NOREPLACE)?;
    let mut info = name.clone();
    info.push(".trashinfo");
    fs::remove_file(trash.join("info").join(info))
}

/// As above, by way of GVfs, which knows the trash of each file system.
async fn restore_by_gvfs(wanted: HashMap<PathBuf, u32>) -> Vec<u32> {
    const ORIGIN: &str = "trash::orig-path";
    let (trash, priority) = (gio::File::for_uri("trash:///"), glib::Priority::DEFAULT);
    let attributes = format!("{},{ORIGIN}", gio::FILE_ATTRIBUTE_STANDARD_NAME);
    let flags = gio::FileQueryInfoFlags::NONE;
    let Ok(entries) = trash.enumerate_children_future(&attributes, flags, priority).await else {
        return Vec::new();
    };
    let mut back = Vec::new();
    while let Ok(infos) = entries.next_files_future(256, priority).await {
        if infos.is_empty() {
            break;
        }
        for info in infos {
            let origin = info.attribute_as_string(ORIGIN).map(|origin| unescaped(&origin));
            let Some((origin, id)) = origin.and_then(|origin| wanted.get_key_value(&origin)) else {
                continue;
            };
            let (from, to) = (trash.child(info.name()), gio::File::for_path(origin));
            // Within one file system this is a rename; `gio` has no future of it before GLib 2.72.
            let moved = gio::spawn_blocking(move || {
                from.move_(&to, gio::FileCopyFlags::NONE, gio::Cancellable::NONE, None).is_ok()
            });
            if moved.await.unwrap_or(false) {
                back.push(*id);
            }
        }
    }
    back
}

/// A path as GIO writes octets out: `\\xff` for those that are no printable ASCII, and for the backslash.
fn unescaped(text: &str) -> PathBuf {
    let mut parts = text.split("\\x");
    let mut octets = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or_default();
        octets.extend(u8::from_str_radix(digits, 16));
        octets.extend(rest.as_bytes());
    }
    OsString::from_vec(octets).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_trashed_from_a_path_is_found() {
        let trash = tempfile::tempdir().unwrap();
        fs::create_dir(trash.path().join("info")).unwrap();
        let write = |name: &str, text: &str| {
            fs::write(trash.path().join("info").join(name), text).unwrap();
        };
        let entry = |path: &str, day: u32| {
            format!("[Trash Info]\nPath={path}\nDeletionDate=2026-01-{day:02}T00:00:00\n")
        };
        write("a.png.trashinfo", &entry("/x/a%20%C3%A4.png", 2));
        write("a.2.png.trashinfo", &entry("/x/a%20%C3%A4.png", 3));
        write("a.3.png.trashinfo", &entry("/x/a%20%C3%A4.png", 1));
        write("b.trashinfo", "garbage");
        write("c.trashinfo", &entry("/x/%FF%0A.png", 1));
        let infos = infos(trash.path());
        assert_eq!(infos.len(), 2);
        assert_eq!(infos[Path::new("/x/a ä.png")], "a.2.png");
        assert_eq!(infos[&PathBuf::from(OsString::from_vec(b"/x/\xff\n.png".into()))], "c");
    }

    #[test]
    fn octets_are_as_gio_tells_them() {
        let info = gio::FileInfo::new();
        for path in ["/x/a b.png", "/x/\n\\x41ä.png", "\\", ""] {
            info.set_attribute_byte_string("trash::orig-path", path);
            let told = info.attribute_as_string("trash::orig-path").unwrap();
            assert_eq!(unescaped(&told), Path::new(path));
        }
        assert_eq!(unescaped(r"/\xff\x5cx").into_os_string().into_vec(), b"/\xff\\x");
    }
}
