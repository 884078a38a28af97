//! The context menu of a widget.

use gtk4::prelude::*;
use gtk4::{gdk, gio, glib};
use std::cell::RefCell;
use std::rc::Rc;

/// A menu that is made when it is opened, and of which nothing is left when it is closed.
///
/// In GTK 4.8 a popover that is closed before it can be seen keeps the pointer: where it is used again, the next
/// click is taken for one that closes it.
#[derive(Default)]
pub struct Menu {
    /// The one that is open, or has just been closed.
    open: Rc<RefCell<Option<gtk4::PopoverMenu>>>,
}

impl Menu {
    /// Opens a menu of these items at this point of `widget`.
    pub fn open(&self, widget: &impl IsA<gtk4::Widget>, items: &gio::MenuModel, at: (f64, f64)) {
        self.remove();
        let popover = gtk4::PopoverMenu::from_model(Some(items));
        popover.set_has_arrow(false);
        popover.set_halign(gtk4::Align::Start);
        popover.set_parent(widget);
        popover.set_pointing_to(Some(&gdk::Rectangle::new(at.0 as i32, at.1 as i32, 1, 1)));
        let open = Rc::downgrade(&self.open);
        popover.connect_closed(move |closed| {
            let (open, closed) = (open.clone(), closed.clone());
            // What was chosen in it is done after it has been closed.
            glib::idle_add_local_once(move || {
                if let Some(open) = open.upgrade()
                    && open.borrow().as_ref() == Some(&closed)
                {
                    Self::take_away(&open);
                }
            });
        });
        self.open.replace(Some(popover.clone()));
        popover.popup();
    }

    /// Leaves no menu; the widget must not outlive one.
    pub fn remove(&self) {
        Self::take_away(&self.open);
    }

    fn take_away(open: &RefCell<Option<gtk4::PopoverMenu>>) {
        // Not borrowed any more when others hear that it goes.
        let popover = open.take();
        popover.inspect(|popover| popover.unparent());
    }
}
