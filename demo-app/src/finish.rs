//! What `--exit-when-idle`, `--screenshot` and `--report` ask for.

use gtk4::prelude::*;
use gtk4::{gdk, glib, gsk};
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use crate::app::Shared;
use crate::files::write_whole;
use crate::gallery::Gallery;
use crate::measures::{Counts, Failure, Measures};
use crate::window::Window;

/// Writes what the options ask for when the time has come.
pub struct Finish {
    shared: Rc<Shared>,
    measures: Rc<Measures>,
    /// Something could not be written.
    failed: Cell<bool>,
}

impl Finish {
    /// Sees to it that `window` leaves as the options say. Ask it after the main loop whether
    /// everything [`succeeded`](Self::succeeded).
    pub fn new(shared: &Rc<Shared>, window: &Window, measures: &Rc<Measures>) -> Rc<Self> {
        let finish = Rc::new(Self {
            shared: Rc::clone(shared),
            measures: Rc::clone(measures),
            failed: Cell::new(false),
        });
        let closing = Rc::clone(&finish);
        window.connect_close_request(move |window| {
            closing.write(window);
            glib::Propagation::Proceed
        });
        if shared.options.exit_when_idle
            && let Some(gallery) = window.gallery()
        {
            close_when_idle(window, &gallery);
        }
        finish
    }

    /// Whether all files could be written.
    pub fn succeeded(&self) -> bool {
        !self.failed.get()
    }

    fn write(&self, window: &Window) {
        if let Some(path) = &self.shared.options.screenshot {
            let picture = screenshot(window).ok_or_else(|| "nothing was drawn".to_owned());
            self.check(path, picture.and_then(|picture| save(&picture, path)));
        }
        if let (Some(path), Some(gallery)) = (&self.shared.options.report, window.gallery()) {
            self.check(path, self.report(path, &gallery));
        }
    }

    fn report(&self, path: &Path, gallery: &Gallery) -> Result<(), String> {
        let report = self.measures.report(self.counts(gallery));
        let mut json = serde_json::to_vec_pretty(&report).map_err(|error| error.to_string())?;
        json.push(b'\n');
        write_whole(path, &json).map_err(|error| error.to_string())
    }

    fn counts(&self, gallery: &Gallery) -> Counts {
        let failures: Vec<_> = gallery
            .failures()
            .into_iter()
            .map(|(path, reason)| Failure { path: path.to_string_lossy().into_owned(), reason })
            .collect();
        Counts {
            pictures: gallery.total(),
            thumbnails_ok: gallery.tried() - failures.len() as u32,
            thumbnails_cached: gallery.cached(),
            failures,
            decoders: gallery.decoders().glance(),
            posture: gallery.decoders().posture().cloned(),
            template: self.shared.template.pid(),
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
    // It may have been begun long before.
    close(gallery);
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
        // All may have been made before there was a window: its first frames need not have anything in them.
        if was_settled.replace(window.is_settled()) && drawn(window).is_some() {
            window.close();
            return glib::ControlFlow::Break;
        }
        window.queue_draw();
        glib::ControlFlow::Continue
    });
}

/// The window as it is drawn.
fn screenshot(window: &Window) -> Option<gdk::Texture> {
    Some(window.renderer()?.render_texture(drawn(window)?, None))
}

/// What was drawn last.
fn drawn(window: &Window) -> Option<gsk::RenderNode> {
    let paintable = gtk4::WidgetPaintable::new(Some(window));
    let snapshot = gtk4::Snapshot::new();
    // With its frame it is larger than the window says, and should not be drawn smaller.
    let (width, height) = (paintable.intrinsic_width(), paintable.intrinsic_height());
    paintable.snapshot(&snapshot, width.into(), height.into());
    snapshot.to_node()
}

fn save(picture: &gdk::Texture, path: &Path) -> Result<(), String> {
    write_whole(path, &picture.save_to_png_bytes()).map_err(|error| error.to_string())
}
