//! What GTK 4.8 takes from environment variables, and from nothing else.
//!
//! Which renderer draws: without a graphics card GTK takes OpenGL all the same, and Mesa imitates a card: a frame takes
//! several times as long as cairo's, and so does the start. With cairo GTK asks X for OpenGL still, to find out how
//! windows are to be made: to load what imitates a card takes a tenth of a second and sixty million octets.
//!
//! Whether assistive tools are told: their bus can be there for a program without the session's, as the X server names
//! it, and then GTK crashes with the first widget that goes.
//!
//! # Safety
//! The environment may be changed as long as no other thread can read it: this is called first of all, and looks.
#![expect(unsafe_code, reason = "the environment is the one place where GTK 4.8 is told")]

use gtk4::gdk;
use gtk4::gio::prelude::*;
use rustix::fs::{Access, access};
use std::env;
use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::sync::OnceLock;

const RENDERER: &str = "GSK_RENDERER";
const ACCESSIBILITY: &str = "GTK_A11Y";
/// Each with what keeps GTK from OpenGL: before 4.16, and since then.
const CARDS: [(&str, &str); 2] = [("GDK_DEBUG", "gl-disable"), ("GDK_DISABLE", "gl")];

/// Those that were set here.
static CHOSEN: OnceLock<Vec<&str>> = OnceLock::new();

/// Has cairo draw where there is no graphics card, and no assistive tools told where there is no session. Whoever has
/// chosen otherwise gets that.
pub fn choose() {
    let threads = fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads != 1 {
        return;
    }
    let is_open = |name: &str| env::var_os(name).is_none();
    let mut chosen = Vec::new();
    if is_open(RENDERER) && !has_card() {
        let is_old = (gtk4::major_version(), gtk4::minor_version()) < (4, 16);
        chosen.extend([(RENDERER, "cairo"), if is_old { CARDS[0] } else { CARDS[1] }]);
    }
    if is_open(ACCESSIBILITY) && !has_session() {
        chosen.push((ACCESSIBILITY, "none"));
    }
    chosen.retain(|(name, _)| is_open(name));
    for (name, value) in &chosen {
        // SAFETY: the process has this thread only.
        unsafe { env::set_var(name, value) };
    }
    CHOSEN.get_or_init(|| chosen.into_iter().map(|(name, _)| name).collect());
}

/// Other programs make their own choice.
pub fn keep_from(context: &gdk::AppLaunchContext) {
    CHOSEN.get().into_iter().flatten().for_each(|name| context.unsetenv(name));
}

/// Whether there may be one that draws, and that this process may use.
fn has_card() -> bool {
    let names = |folder: &str| fs::read_dir(folder).into_iter().flatten().flatten();
    let is_card = |prefix: &str, folder: &str| {
        names(folder).any(|entry| {
            let is_named_so = entry.file_name().to_string_lossy().starts_with(prefix);
            is_named_so && access(entry.path(), Access::READ_OK | Access::WRITE_OK).is_ok()
        })
    };
    is_card("renderD", "/dev/dri") || is_card("nvidia", "/dev")
}

/// Whether there may be a session's bus, where GLib looks for it.
fn has_session() -> bool {
    match env::var("DBUS_SESSION_BUS_ADDRESS") {
        Ok(addresses) if !addresses.is_empty() => addresses.split(';').any(may_answer),
        _ => {
            let own = env::var_os("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("bus"));
            // Which starts one.
            let has_launcher = || {
                let folders = env::var_os("PATH").unwrap_or_default();
                env::split_paths(&folders).any(|folder| folder.join("dbus-launch").exists())
            };
            own.is_some_and(|path| UnixStream::connect(path).is_ok()) || has_launcher()
        }
    }
}

/// Whether a bus may be at this address of D-Bus's. One that is no socket's name in plain letters is not tried.
fn may_answer(address: &str) -> bool {
    let Some(parts) = address.strip_prefix("unix:").filter(|parts| !parts.contains('%')) else {
        return !address.is_empty();
    };
    parts.split(',').all(|part| match part.split_once('=') {
        Some(("path", path)) => UnixStream::connect(path).is_ok(),
        Some(("abstract", name)) => SocketAddr::from_abstract_name(name)
            .is_ok_and(|address| UnixStream::connect_addr(&address).is_ok()),
        _ => true,
    })
}
