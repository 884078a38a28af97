//! The programs that make thumbnails elsewhere: each with an empty cache, and with all pictures at once.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gtk4::gio::{self, prelude::*};
use gtk4::glib::{self, Variant};

use crate::PROCESSORS;
use crate::desktop::Desktop;
use crate::pictures::Set;

/// The side of the thumbnails.
const SIDE: &str = "256";

/// What a peer has done.
pub struct Made {
    pub made: usize,
    pub took: Duration,
}

impl Made {
    /// Thumbnails a second.
    pub fn rate(&self) -> f64 {
        self.made as f64 / self.took.as_secs_f64()
    }
}

pub struct Peer {
    pub name: &'static str,
    /// Makes thumbnails of a set, or says why it cannot.
    pub run: fn(&Desktop, &Set) -> Result<Made, String>,
}

pub const ALL: [Peer; 3] = [
    Peer { name: "gdk-pixbuf-thumbnailer", run: gdk_pixbuf },
    Peer { name: "vipsthumbnail", run: vips },
    Peer { name: "tumbler", run: tumbler },
];

/// A process for each file, as GNOME does it; as many at a time as there are processors.
fn gdk_pixbuf(desktop: &Desktop, set: &Set) -> Result<Made, String> {
    const NAME: &str = "gdk-pixbuf-thumbnailer";
    there_is(NAME)?;
    let into = empty(&desktop.path(NAME))?;
    let (next, begun) = (AtomicUsize::new(0), Instant::now());
    thread::scope(|scope| {
        for _ in 0..PROCESSORS {
            scope.spawn(|| {
                while let Some(file) = set.files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    let mut command = quiet(NAME);
                    command.args(["-s", SIDE]).arg(file).arg(into.join(format!("{name}.png")));
                    // One that fails leaves no file, and is not counted.
                    let _status = command.status();
                }
            });
        }
    });
    Ok(Made { took: begun.elapsed(), made: count(&into) })
}

/// All files in one call, and as many threads as there are processors.
fn vips(desktop: &Desktop, set: &Set) -> Result<Made, String> {
    const NAME: &str = "vipsthumbnail";
    there_is(NAME)?;
    let into = empty(&desktop.path(NAME))?;
    let begun = Instant::now();
    let mut command = quiet(NAME);
    command.env("VIPS_CONCURRENCY", PROCESSORS.to_string());
    command.args(["--size", SIDE, "-o"]).arg(into.join("%s.png")).args(&set.files);
    // It fails if it can do nothing with one of them.
    let _status = command.status().map_err(|error| error.to_string())?;
    Ok(Made { took: begun.elapsed(), made: count(&into) })
}

/// By way of D-Bus, as file managers ask for it.
fn tumbler(desktop: &Desktop, set: &Set) -> Result<Made, String> {
    let cache = desktop.path("tumbler");
    empty(&cache)?;
    tumble(desktop, set, &cache).map_err(|error| error.message().to_owned())
}

const SERVICE: &str = "org.freedesktop.thumbnails.Thumbnailer1";
const OBJECT: &str = "/org/freedesktop/thumbnails/Thumbnailer1";

fn tumble(desktop: &Desktop, set: &Set, cache: &Path) -> Result<Made, glib::Error> {
    let flags = gio::DBusConnectionFlags::AUTHENTICATION_CLIENT
        | gio::DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    let address = &desktop.bus_address;
    let bus = gio::DBusConnection::for_address_sync(address, flags, None, gio::Cancellable::NONE)?;
    let call = |to: (&str, &str, &str), method: &str, arguments: Variant| {
        let (name, path, interface) = to;
        let flags = gio::DBusCallFlags::NONE;
        let cancel = gio::Cancellable::NONE;
        bus.call_sync(
            Some(name),
            path,
            interface,
            method,
            Some(&arguments),
            None,
            flags,
            -1,
            cancel,
        )
    };
    let daemon = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus");
    let place = cache.to_string_lossy().into_owned();
    let environment = std::collections::HashMap::from([("XDG_CACHE_HOME", place)]);
    call(daemon, "UpdateActivationEnvironment", (environment,).to_variant())?;
    let service = (SERVICE, OBJECT, SERVICE);
    // It runs before the clock does.
    call(service, "GetFlavors", ().to_variant())?;

    let (finished, events) = std::sync::mpsc::channel();
    let _subscription = bus.subscribe_to_signal(
        Some(SERVICE),
        Some(SERVICE),
        Some("Finished"),
        Some(OBJECT),
        None,
        gio::DBusSignalFlags::NONE,
        move |_| {
            // Only one is asked for.
            let _heard = finished.send(());
        },
    );
    let uri = |file: &std::path::PathBuf| gio::File::for_path(file).uri().to_string();
    let uris: Vec<String> = set.files.iter().map(uri).collect();
    let kind = |file: &std::path::PathBuf| {
        let guessed = gio::content_type_guess(Some(file), None::<&[u8]>).0;
        gio::content_type_get_mime_type(&guessed).map(String::from).unwrap_or_default()
    };
    let kinds: Vec<String> = set.files.iter().map(kind).collect();
    let begun = Instant::now();
    call(service, "Queue", (uris, kinds, "large", "foreground", 0_u32).to_variant())?;
    while events.try_recv().is_err() {
        glib::MainContext::default().iteration(true);
    }
    let took = begun.elapsed();
    Ok(Made { took, made: count(&cache.join("thumbnails/large")) })
}

fn there_is(program: &str) -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if found { Ok(()) } else { Err("it is not installed".into()) }
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn empty(folder: &Path) -> Result<std::path::PathBuf, String> {
    // The first time it is not there.
    let _missing = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    Ok(folder.into())
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| entries.flatten().count())
}
