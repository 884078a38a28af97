//! Which of GTK's renderers draws: it is chosen by an environment variable, and by nothing else, in GTK 4.8.
//!
//! Without a graphics card GTK takes OpenGL all the same, and Mesa imitates a card: a frame takes several times as long
//! as cairo's, and so does the start.
//!
//! # Safety
//! The environment may be changed as long as no other thread can read it: this is called first of all, and looks.
#![expect(unsafe_code, reason = "the environment is the one place where GTK 4.8 is told")]

use gtk4::gdk;
use gtk4::gio::prelude::*;
use rustix::fs::{Access, access};
use std::env;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

const NAME: &str = "GSK_RENDERER";

/// It was chosen here.
static CHOSEN: AtomicBool = AtomicBool::new(false);

/// Has cairo draw where there is no graphics card. Whoever has chosen a renderer gets that one.
pub fn choose() {
    let threads = fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if threads == 1 && env::var_os(NAME).is_none() && !has_card() {
        // SAFETY: the process has this thread only.
        unsafe { env::set_var(NAME, "cairo") };
        CHOSEN.store(true, Ordering::Relaxed);
    }
}

/// Other programs make their own choice.
pub fn keep_from(context: &gdk::AppLaunchContext) {
    if CHOSEN.load(Ordering::Relaxed) {
        context.unsetenv(NAME);
    }
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
