//! The application: one process for all windows of a session, unless it runs for a script.

use gtk4::prelude::*;
use gtk4::{gdk, gio};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;
use tine::Template;

use crate::finish::Finish;
use crate::gallery::Gallery;
use crate::measures::Measures;
use crate::options::Options;
use crate::tile;
use crate::window::Window;

/// The name by which the desktop knows the program.
const ID: &str = "io.github.tine.Viewer";

/// What all windows share.
struct Shared {
    template: Template,
    options: Rc<Options>,
    start: Instant,
    /// One for each window.
    finishes: RefCell<Vec<Rc<Finish>>>,
    /// A window could not be made.
    failed: std::cell::Cell<bool>,
}

/// Runs the program until its last window is closed.
pub fn run(template: Template, options: Options, start: Instant) -> ExitCode {
    let app = gtk4::Application::builder().application_id(ID).flags(flags(&options)).build();
    let shared = Rc::new(Shared {
        template,
        options: Rc::new(options),
        start,
        finishes: RefCell::default(),
        failed: Default::default(),
    });
    app.connect_startup(|app| {
        tine_gtk4::attach(app);
        set_style();
        app.set_accels_for_action("win.fullscreen", &["F11"]);
        app.set_accels_for_action("window.close", &["<Control>w", "<Control>q"]);
    });
    let opening = Rc::clone(&shared);
    app.connect_open(move |app, files, _| opening.open(app, files));

    let args = shared.options.paths.iter().map(PathBuf::as_path).map(Path::as_os_str);
    let args: Vec<_> = [ID.as_ref()].into_iter().chain(args).collect();
    let code = app.run_with_args_os(&args);
    let succeeded = shared.finishes.borrow().iter().all(|finish| finish.succeeded());
    if shared.failed.get() || !succeeded { ExitCode::FAILURE } else { code.into() }
}

/// A script wants its own process, whatever else is running.
fn flags(options: &Options) -> gio::ApplicationFlags {
    let own = options.exit_when_idle || options.report.is_some() || options.screenshot.is_some();
    let open = gio::ApplicationFlags::HANDLES_OPEN;
    if own { open | gio::ApplicationFlags::NON_UNIQUE } else { open }
}

impl Shared {
    fn open(&self, app: &gtk4::Application, files: &[gio::File]) {
        let paths: Vec<PathBuf> = files.iter().filter_map(gio::File::path).collect();
        if let Err(error) = self.open_window(app, &paths) {
            eprintln!("tine-viewer: {error}");
            self.failed.set(true);
        }
    }

    fn open_window(&self, app: &gtk4::Application, paths: &[PathBuf]) -> std::io::Result<()> {
        let options = &self.options;
        let measures = Rc::new(Measures::new(self.start, options.report.is_some())?);
        let side = tile::SIDE as u32 * largest_scale();
        let sweep = options.exit_when_idle;
        let gallery = Gallery::new(&self.template, side, sweep, Rc::clone(&measures))?;
        let window = Window::new(app, &gallery, &measures);
        if let Some((width, height)) = options.size {
            window.set_default_size(width, height);
        }
        let finish = Finish::new(options, &window, &gallery, &measures, &self.template);
        self.finishes.borrow_mut().push(finish);
        window.open(paths)?;
        window.present();
        Ok(())
    }
}

/// The scale of the sharpest monitor: thumbnails are made for it.
fn largest_scale() -> u32 {
    let monitors = gdk::Display::default().map(|display| display.monitors());
    let scales = monitors.iter().flat_map(|monitors| {
        monitors.iter::<gdk::Monitor>().flatten().map(|monitor| monitor.scale_factor())
    });
    scales.max().unwrap_or(1).max(1) as u32
}

fn set_style() {
    let Some(display) = gdk::Display::default() else { return };
    gtk4::Settings::for_display(&display).set_gtk_application_prefer_dark_theme(true);
    let css = gtk4::CssProvider::new();
    css.load_from_data(include_str!("style.css"));
    let priority = gtk4::STYLE_PROVIDER_PRIORITY_APPLICATION;
    gtk4::style_context_add_provider_for_display(&display, &css, priority);
}
