//! An image viewer whose thumbnails are made by workers forked from a template that never saw GTK.
//!
//! ```text
//! main ─ app ─ window ─┬─ grid ── tile                   ahead: a gallery before there is a window
//!                      ├─ picture_view ── canvas
//!                      └─ gallery ─┬─ listing: names, in a thread ──▶ catalog
//!                                  ├─ index: orders and finds them, in a thread ──▶ picture_list
//!                                  ├─ files: opens them, in threads
//!                                  ├─ cache: thumbnails that all programs share, in a thread
//!                                  ├─ tine_viewer::decoders: the workers ◀──▶ tine_viewer::worker
//!                                  └─ thumbnails, wholes: which there are, and which is next
//! ```

mod about;
mod accessible;
mod ahead;
mod animation;
mod app;
mod arrange;
mod beside;
mod cache;
mod canvas;
mod carried;
mod catalog;
mod chosen;
mod environment;
mod files;
mod finish;
mod gallery;
mod grid;
mod id_set;
mod index;
mod level;
mod listing;
mod measures;
mod memory;
mod menu;
mod monitor;
mod natural;
mod options;
mod picture_list;
mod picture_view;
mod poll_clock;
mod properties;
mod seen;
mod selection;
mod settings;
mod stalls;
mod stretches;
mod texture;
mod thumbnails;
mod tile;
mod trash;
mod wholes;
mod window;
mod workers_window;
mod zoom;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use gtk4::glib;
use options::{Command, Options};

fn main() -> ExitCode {
    let start = Instant::now();
    let template = tine::Template::early();
    environment::choose();
    memory::keep_frames();
    let command = Command::parse(std::env::args_os().skip(1));
    match (command, template) {
        (Err(error), _) => fail(&format!("{error}\nTry 'tine-viewer --help'.")),
        (_, Err(error)) => fail(&format!("no workers can be had: {error}")),
        (Ok(Command::Print(text)), _) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        (Ok(Command::View(mut options)), Ok(template)) => match check_paths(&mut options) {
            Ok(()) => app::run(template, options, start),
            Err(message) => fail(&message),
        },
    }
}

/// What is not there is told before a window opens. Absolute paths look like no options, and mean the
/// same to an instance that runs in another folder.
fn check_paths(options: &mut Options) -> Result<(), String> {
    if options.paths.is_empty() && !options.service {
        options.paths.push(".".into());
    }
    for path in &mut options.paths {
        if let Some(file) = file_of_uri(path) {
            *path = file;
        }
        let told = |error| format!("{}: {error}", path.display());
        std::fs::metadata(&*path).map_err(told)?;
        *path = std::path::absolute(&*path).map_err(told)?;
    }
    Ok(())
}

/// What a `file:` URI stands for, unless there is a file with that very name.
fn file_of_uri(argument: &Path) -> Option<PathBuf> {
    let uri = argument.to_str().filter(|uri| uri.starts_with("file:") && !argument.exists())?;
    glib::filename_from_uri(uri).ok().map(|(path, _host)| path)
}

fn fail(message: &str) -> ExitCode {
    eprintln!("tine-viewer: {message}");
    ExitCode::FAILURE
}
