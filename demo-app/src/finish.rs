//! What `--exit-when-idle`, `--screenshot` and `--report` ask for.

use gtk4::prelude::*;
use gtk4::{gdk, glib};
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use tine::Template;

use crate::files::write_whole;
use crate::gallery::Gallery;
use crate::measures::{Counts, Failure, Measures};
use crate::options::Options;
use crate::window::Window;

/// Writes what the options ask for when the time has come.
pub struct Finish {
    options: Rc<Options>,
    gallery: Gallery,
    measures: Rc<Measures>,
    template: Template,
    /// Something could not be written.
    failed: Cell<bool>,
}

impl Finish {
    /// Sees to it that `window` leaves as the options say. Ask it after the main loop whether
    /// everything [`succeeded`](Self::succeeded).
    pub fn new(
        options: &Rc<Options>,
        window: &Window,
        gallery: &Gallery,
        measures: &Rc<Measures>,
        template: &Template,
    ) -> Rc<Self> {
        let finish = Rc::new(Self {
            options: Rc::clone(options),
            gallery: gallery.clone(),
            measures: Rc::clone(measures),
            template: template.clone(),
            failed: Cell::new(false),
        });
        let closing = Rc::clone(&finish);
        window.connect_close_request(move |window| {
            closing.write(window);
            glib::Propagation::Proceed
        });
        if options.exit_when_idle {
            close_when_idle(window, gallery);
        }
        finish
    }

    /// Whether all files could be written.
    pub fn succeeded(&self) -> bool {
        !self.failed.get()
    }

    fn write(&self, window: &Window) {
        if let Some(path) = &self.options.screenshot {
            let picture = screenshot(window).ok_or_else(|| "nothing was drawn".to_owned());
            self.check(path, picture.and_then(|picture| save(&picture, path)));
        }
        if let Some(path) = &self.options.report {
            self.check(path, self.report(path));
        }
    }

    fn report(&self, path: &Path) -> Result<(), String> {
        let report = self.measures.report(self.counts());
        let mut json = serde_json::to_vec_pretty(&report).map_err(|error| error.to_string())?;
        json.push(b'\n');
        write_whole(path, &json).map_err(|error| error.to_string())
    }

    fn counts(&self) -> Counts {
        let failures: Vec<_> = self
            .gallery
            .failures()
            .into_iter()
            .map(|(path, reason)| Failure { path: path.to_string_lossy().into_owned(), reason })
            .collect();
        Counts {
            pictures: self.gallery.total(),
            thumbnails_ok: self.gallery.tried() - failures.len() as u32,
            thumbnails_cached: self.gallery.cached(),
            failures,
            workers_started: self.gallery.crew().started(),
            workers_crashed: self.gallery.crew().crashed(),
            workers: self.gallery.crew().pids(),
            posture: self.gallery.crew().posture().cloned(),
            template: self.template.pid(),
        }
    }

    fn check(&self, path: &Path, result: Result<(), String>) {
        if let Err(error) = result {
            eprintln!("tine-viewer: {}: {error}", path.display());
            self.failed.set(true);
        }
    }
}

/// Closes the window when nothing is left to try, and a frame with all that is in view was painted.
fn close_when_idle(window: &Window, gallery: &Gallery) {
    let close = glib::clone!(
        #[weak]
        window,
        move |gallery: &Gallery| {
            if gallery.idle() {
                close_when_painted(&window, gallery);
            }
        }
    );
    gallery.connect_idle_notify(close);
}

/// Looks once a frame, as long as the gallery is idle: what was settled in one frame is painted
/// before the next one begins.
fn close_when_painted(window: &Window, gallery: &Gallery) {
    let (gallery, was_settled) = (gallery.clone(), Cell::new(false));
    window.add_tick_callback(move |window, _| {
        if !gallery.idle() {
            return glib::ControlFlow::Break;
        }
        if was_settled.replace(window.is_settled()) {
            window.close();
            return glib::ControlFlow::Break;
        }
        window.queue_draw();
        glib::ControlFlow::Continue
    });
}

/// The window as it is drawn.
fn screenshot(window: &Window) -> Option<gdk::Texture> {
    let paintable = gtk4::WidgetPaintable::new(Some(window));
    let snapshot = gtk4::Snapshot::new();
    // With its frame it is larger than the window says, and should not be drawn smaller.
    let (width, height) = (paintable.intrinsic_width(), paintable.intrinsic_height());
    paintable.snapshot(&snapshot, width.into(), height.into());
    Some(window.renderer()?.render_texture(snapshot.to_node()?, None))
}

fn save(picture: &gdk::Texture, path: &Path) -> Result<(), String> {
    write_whole(path, &picture.save_to_png_bytes()).map_err(|error| error.to_string())
}
