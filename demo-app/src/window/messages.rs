//! What the window says: one message after the other.
//!
//! A toast overlay (libadwaita 1.2 to 1.4 at least) frees what a toast's coming still uses when that toast has gone
//! before it had come, and it takes longer to come where another one leaves. So a toast is put there when none is left,
//! and taken away when it has been there for a while: measured in the time of frames, as its coming is.

use super::*;
use std::collections::VecDeque;

/// How long a message is seen at least, in microseconds of the frame clock: one that is of no use any more, one that
/// another message follows, and one that offers to undo something.
const OVER: i64 = 500_000;
const SAID: i64 = 2_000_000;
const OFFERED: i64 = 4_000_000;

/// What is said, and what waits to be.
#[derive(Default)]
pub struct Messages {
    shown: Option<Shown>,
    waiting: VecDeque<adw::Toast>,
    is_watched: bool,
}

struct Shown {
    toast: adw::Toast,
    /// The time of the first frame with it.
    since: Option<i64>,
    /// It is of no use any more.
    is_over: bool,
}

impl Window {
    /// Tells the user something.
    pub(super) fn say(&self, message: &str) {
        // It takes markup, and names can look like some.
        let toast = adw::Toast::new(&glib::markup_escape_text(message));
        self.imp().messages.borrow_mut().waiting.push_back(toast);
        self.go_on_saying();
    }

    /// Shows a message with a button, before others that wait and instead of an older one with a button.
    pub(super) fn offer(&self, toast: adw::Toast) {
        let mut messages = self.imp().messages.borrow_mut();
        messages.waiting.retain(|waiting| waiting.button_label().is_none());
        messages.waiting.push_front(toast);
        if let Some(shown) = &mut messages.shown {
            shown.is_over |= shown.toast.button_label().is_some();
        }
        drop(messages);
        self.go_on_saying();
    }

    /// Takes a message away.
    pub(super) fn withdraw(&self, toast: &adw::Toast) {
        let mut messages = self.imp().messages.borrow_mut();
        messages.waiting.retain(|waiting| waiting != toast);
        if let Some(shown) = &mut messages.shown {
            shown.is_over |= shown.toast == *toast;
        }
        drop(messages);
        self.go_on_saying();
    }

    /// Says the next one if it can, and else when it can.
    fn go_on_saying(&self) {
        if self.say_next(None).is_continue() && !self.imp().messages.borrow().is_watched {
            self.imp().messages.borrow_mut().is_watched = true;
            let this = self.downgrade();
            self.imp().toasts.add_tick_callback(move |_, clock| {
                let Some(this) = this.upgrade() else { return glib::ControlFlow::Break };
                let flow = this.say_next(Some(clock.frame_time()));
                this.imp().messages.borrow_mut().is_watched = flow.is_continue();
                flow
            });
        }
    }

    /// Does what there is to do at this frame; whether there will be more.
    fn say_next(&self, frame: Option<i64>) -> glib::ControlFlow {
        let toasts = &*self.imp().toasts;
        let mut messages = self.imp().messages.borrow_mut();
        let Messages { shown, waiting, .. } = &mut *messages;
        // Its content is the first one.
        let is_free = toasts.first_child().is_none_or(|content| content.next_sibling().is_none());
        if is_free {
            *shown = waiting.pop_front().map(|toast| Shown { toast, since: None, is_over: false });
        }
        let Some(Shown { toast, since, is_over }) = shown else { return glib::ControlFlow::Break };
        let toast = toast.clone();
        if is_free {
            drop(messages);
            toasts.add_toast(toast);
            return glib::ControlFlow::Continue;
        }
        let least = match toast.button_label() {
            _ if *is_over => OVER,
            Some(_) => OFFERED,
            None => SAID,
        };
        *since = since.or(frame);
        let is_due = since.zip(frame).is_some_and(|(since, frame)| frame - since >= least);
        let is_needed = *is_over || !waiting.is_empty();
        drop(messages);
        if is_due && is_needed {
            toast.dismiss();
        }
        match is_needed {
            true => glib::ControlFlow::Continue,
            false => glib::ControlFlow::Break,
        }
    }
}
