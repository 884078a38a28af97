//! Going on from picture to picture without a hand.

use super::*;

/// How long it stays with a picture.
const STAY: Duration = Duration::from_secs(4);

/// One that goes on; dropped, it ends.
pub struct Slideshow {
    next: Option<glib::SourceId>,
    /// Who keeps the screen lit meanwhile, and by which request.
    lit: Option<(gtk4::Application, u32)>,
}

impl Slideshow {
    fn new(view: &PictureView) -> Self {
        let this = view.downgrade();
        let next = glib::timeout_add_local(STAY, move || match this.upgrade() {
            Some(this) => {
                // One that takes longer to load is looked at as long as the others.
                let next = this.beside(1).or_else(|| this.outermost(1));
                if let Some(next) = next.filter(|next| this.is_settled() && *next != this.id()) {
                    this.show(next);
                }
                glib::ControlFlow::Continue
            }
            None => glib::ControlFlow::Break,
        });
        let window = view.root().and_downcast::<gtk4::Window>();
        let app = window.as_ref().and_then(GtkWindowExt::application);
        let lit = app.map(|app| {
            let idle = gtk4::ApplicationInhibitFlags::IDLE;
            let request = app.inhibit(window.as_ref(), idle, Some("A slideshow is running"));
            (app, request)
        });
        // 0: there is no session to ask.
        Slideshow { next: Some(next), lit: lit.filter(|(_, request)| *request != 0) }
    }
}

impl Drop for Slideshow {
    fn drop(&mut self) {
        if let Some(next) = self.next.take() {
            next.remove();
        }
        if let Some((app, request)) = self.lit.take() {
            app.uninhibit(request);
        }
    }
}

impl PictureView {
    /// Goes on by itself from now on.
    pub fn start_show(&self) {
        self.stop_show();
        self.imp().show.replace(Some(Slideshow::new(self)));
    }

    /// Stays with a picture. Gives whether it was going on by itself.
    pub fn stop_show(&self) -> bool {
        self.imp().show.take().is_some()
    }
}
