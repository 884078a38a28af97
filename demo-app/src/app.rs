//! The application: one process for all windows of a session, unless it runs for a script.

use adw::prelude::*;
use gtk4::{gdk, gio, glib};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;
use tine::Template;

use crate::ahead::{Ahead, give_head_start};
use crate::finish::Finish;
use crate::measures::Measures;
use crate::options::Options;
use crate::settings::{Settings, Style};
use crate::window::{self, Window};

/// The name by which the desktop knows the program.
pub const ID: &str = "io.github.tine.Viewer";

/// What all windows share.
pub struct Shared {
    /// Where workers come from.
    pub template: Template,
    /// What the command line asked for.
    pub options: Options,
    /// What is remembered.
    pub settings: RefCell<Settings>,
    start: Instant,
    /// What was begun for the first window.
    ahead: RefCell<Option<Ahead>>,
    /// One for each window.
    finishes: RefCell<Vec<Rc<Finish>>>,
    /// A window could not be made.
    failed: std::cell::Cell<bool>,
}

/// Decoding waits for the window, not the window for decoding: it must not be kept from a processor for
/// as long as a worker may use it at a stretch.
const NICE: i32 = 10;

/// Runs the program until its last window is closed.
pub fn run(template: Template, options: Options, start: Instant) -> ExitCode {
    lower(&template);
    // What a script is shown does not depend on what a person liked.
    let settings = if options.is_script() { Settings::default() } else { Settings::load() };
    // If another process has the windows it is in vain.
    let ahead = Ahead::begin(&template, &options, &settings, start);
    add_icons();
    let app = adw::Application::builder().application_id(ID).flags(flags(&options)).build();
    let shared = Rc::new(Shared {
        template,
        options,
        settings: RefCell::new(settings),
        start,
        ahead: RefCell::new(ahead),
        finishes: RefCell::default(),
        failed: Default::default(),
    });
    let starting = Rc::clone(&shared);
    app.connect_startup(move |app| {
        tine_gtk4::attach(app);
        add_style();
        set_style(starting.settings.borrow().style);
        window::set_accels(app);
    });
    let opening = Rc::clone(&shared);
    app.connect_open(move |app, files, _| {
        let paths: Vec<PathBuf> = files.iter().filter_map(gio::File::path).collect();
        opening.open(app, &paths);
    });
    let showing = Rc::clone(&shared);
    app.connect_activate(move |app| showing.open(app, &[pictures()]));

    let args = shared.options.paths.iter().map(PathBuf::as_path).map(Path::as_os_str);
    let args: Vec<_> = [ID.as_ref()].into_iter().chain(args).collect();
    let code = app.run_with_args_os(&args);
    let succeeded = shared.finishes.borrow().iter().all(|finish| finish.succeeded());
    if shared.failed.get() || !succeeded { ExitCode::FAILURE } else { code.into() }
}

/// Workers inherit it; their sandbox would not let them ask for it.
fn lower(template: &Template) {
    let pid = template.pid().and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
    // One that is gone already is made anew, and then the kernel shares out as it likes.
    if pid.is_some() {
        let _gone = rustix::process::setpriority_process(pid, NICE);
    }
}

/// A script wants its own process, whatever else is running. A service waits for messages.
fn flags(options: &Options) -> gio::ApplicationFlags {
    let mut flags = gio::ApplicationFlags::HANDLES_OPEN;
    flags.set(gio::ApplicationFlags::NON_UNIQUE, options.is_script());
    flags.set(gio::ApplicationFlags::IS_SERVICE, options.service);
    flags
}

/// What a desktop shows that starts the program and names no file; it has no current folder.
fn pictures() -> PathBuf {
    glib::user_special_dir(glib::UserDirectory::Pictures).unwrap_or_else(glib::home_dir)
}

impl Shared {
    fn open(self: &Rc<Self>, app: &adw::Application, paths: &[PathBuf]) {
        if let Err(error) = self.open_window(app, paths) {
            eprintln!("tine-viewer: {error}");
            self.failed.set(true);
        }
    }

    fn open_window(
        self: &Rc<Self>,
        app: &adw::Application,
        paths: &[PathBuf],
    ) -> std::io::Result<()> {
        let ahead = self.ahead.take().filter(|ahead| ahead.is_for(paths));
        let (measures, gallery) = match ahead {
            Some(ahead) => (ahead.measures, Some(ahead.gallery)),
            None => (Rc::new(Measures::new(self.start, self.options.report.is_some())?), None),
        };
        let window = Window::new(app, self, &measures);
        window.open_ahead(paths, gallery)?;
        let finish = Finish::new(self, &window, &measures);
        self.finishes.borrow_mut().push(finish);
        // It is laid out next, which takes a while.
        window.gallery().as_ref().inspect(|gallery| give_head_start(gallery));
        window.present();
        Ok(())
    }
}

/// Light or dark, for all windows.
pub fn set_style(style: Style) {
    adw::StyleManager::default().set_color_scheme(match style {
        Style::System => adw::ColorScheme::Default,
        Style::Light => adw::ColorScheme::ForceLight,
        Style::Dark => adw::ColorScheme::ForceDark,
    });
}

/// The program's own icons, which need not be installed. The application looks for them when it starts.
fn add_icons() {
    let packed = include_bytes!(concat!(env!("OUT_DIR"), "/icons.gresource"));
    // It was packed when this was built. Without it another icon stands for it.
    if let Ok(icons) = gio::Resource::from_data(&glib::Bytes::from_static(packed)) {
        gio::resources_register(&icons);
    }
}

fn add_style() {
    let Some(display) = gdk::Display::default() else { return };
    let css = gtk4::CssProvider::new();
    css.load_from_data(include_str!("style.css"));
    let priority = gtk4::STYLE_PROVIDER_PRIORITY_APPLICATION;
    gtk4::style_context_add_provider_for_display(&display, &css, priority);
}
