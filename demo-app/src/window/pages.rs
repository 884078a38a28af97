//! What the window shows: the grid, one picture, or why there is nothing; and what stands above it.

use super::*;
use crate::catalog::Kind;

impl Window {
    /// Whether all that is in view is there, or it is said why not.
    pub fn is_settled(&self) -> bool {
        let imp = self.imp();
        match imp.stack.visible_child() {
            Some(page) if page == *imp.grid => imp.grid.is_settled(),
            Some(page) if page == *imp.picture => imp.picture.is_settled(),
            _ => true,
        }
    }

    pub(super) fn in_picture(&self) -> bool {
        let imp = self.imp();
        imp.stack.visible_child().is_some_and(|page| page == *imp.picture)
    }

    /// Keeps the window up to date with what it shows.
    pub(super) fn listen(&self, gallery: &Gallery) -> Signals {
        let mut signals = Signals::of(gallery);
        for property in ["total", "tried", "failed"] {
            let this = self.downgrade();
            let update = move |_: &Gallery, _: &glib::ParamSpec| {
                this.upgrade().inspect(Self::update_title);
            };
            signals.add(|gallery| gallery.connect_notify_local(Some(property), update));
        }
        let this = self.downgrade();
        signals.add(|gallery| {
            gallery.connect_listing_notify(move |_| {
                this.upgrade().inspect(Self::listed);
            })
        });
        let this = self.downgrade();
        signals.add(|gallery| {
            gallery.connect_unreadable(move |_, path, why| {
                let trouble = (!why.is_empty()).then(|| format!("{path}: {why}"));
                if let Some(this) = this.upgrade() {
                    this.imp().trouble.replace(trouble);
                    this.explain_emptiness();
                }
            })
        });
        let this = self.downgrade();
        signals.add(|gallery| {
            gallery.connect_thumbnail(move |gallery, id| {
                let is_kept = gallery.with_thumbnail(id, |thumbnail| thumbnail.is_kept());
                let this = this.upgrade().filter(|_| is_kept);
                this.inspect(|this| this.measures().thumbnail_shown());
            })
        });
        signals
    }

    pub(super) fn follow_pages(&self) {
        let imp = self.imp();
        imp.picture.connect_title_notify(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_| this.update_title()
        ));
        imp.stack.connect_visible_child_notify(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_| this.page_changed()
        ));
        imp.grid.connect_activate(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |place| this.activated(place)
        ));
        if let Some(menu) = imp.main_menu.popover() {
            menu.connect_closed(glib::clone!(
                #[weak(rename_to = this)]
                self,
                move |_| this.focus_page()
            ));
        }
        self.page_changed();
    }

    /// Keys are for what is looked at.
    fn focus_page(&self) {
        let imp = self.imp();
        match self.in_picture() {
            true => imp.picture.grab_focus(),
            false => imp.grid.grab_focus(),
        };
    }

    fn page_changed(&self) {
        let (imp, in_picture) = (self.imp(), self.in_picture());
        imp.back.set_visible(in_picture);
        imp.up.set_visible(!in_picture);
        imp.open.set_visible(!in_picture);
        imp.filter_button.set_visible(!in_picture);
        imp.picture_buttons.set_visible(in_picture);
        imp.filter_bar.set_visible(!in_picture);
        self.update_title();
        self.update_actions();
    }

    fn activated(&self, place: u32) {
        let Some(gallery) = self.gallery() else { return };
        if let Some(id) = gallery.list().id(place) {
            match gallery.kind(id) {
                Kind::Picture => self.show_picture(id),
                Kind::Folder => self.enter(&gallery.path(id)),
            }
        }
    }

    pub(super) fn show_picture(&self, id: u32) {
        let imp = self.imp();
        imp.picture.show(id);
        imp.stack.set_visible_child(&*imp.picture);
        imp.picture.grab_focus();
    }

    /// From the picture to its place in the grid.
    pub(super) fn back(&self) {
        let imp = self.imp();
        if !self.in_picture() {
            return;
        }
        if imp.fullscreen_for_picture.take() {
            self.unfullscreen();
        }
        let list = self.gallery().map(|gallery| gallery.list());
        let place = list.and_then(|list| list.position(imp.picture.id()));
        imp.picture.clear();
        imp.stack.set_visible_child(&*imp.grid);
        imp.grid.grab_focus();
        if let Some(place) = place {
            imp.grid.select(place);
        }
        self.explain_emptiness();
    }

    /// Brings heading and progress up to date.
    pub(super) fn update_title(&self) {
        let imp = self.imp();
        let Some(gallery) = self.gallery() else { return };
        let place = imp.place.borrow();
        let (heading, subheading) = match self.in_picture() {
            true => (imp.picture.title(), place.clone()),
            false => (place.clone(), count(&gallery)),
        };
        // A label that is set is laid out anew, whatever it was before.
        if imp.heading.title() != heading {
            self.set_title(Some(&heading));
            imp.heading.set_title(&heading);
        }
        if imp.heading.subtitle() != subheading {
            imp.heading.set_subtitle(&subheading);
        }
        let (tried, total) = (gallery.tried(), gallery.total());
        let makes_all = gallery.sweep() && tried < total;
        imp.progress.set_visible(makes_all && !self.in_picture());
        if makes_all {
            imp.made.set_fraction(f64::from(tried) / f64::from(total));
            let (tried, total) = (with_spaces(tried), with_spaces(total));
            imp.told.set_label(&format!("{tried} of {total} thumbnails"));
        } else {
            imp.told.set_label("");
        }
    }

    fn listed(&self) {
        let Some(gallery) = self.gallery().filter(|gallery| !gallery.listing()) else { return };
        self.explain_emptiness();
        self.update_title();
        // Of several folders, or of one in part, there is something to see, but not all.
        if gallery.total() > 0
            && let Some(trouble) = self.imp().trouble.take()
        {
            self.say(&format!("Not all could be read: {trouble}"));
        }
        if let Some(from) = self.imp().came_from.take() {
            let list = gallery.list();
            let here = |place: &u32| list.id(*place).is_some_and(|id| gallery.path(id) == from);
            if let Some(place) = (0..list.n_items()).find(here) {
                self.imp().grid.select(place);
            }
        }
    }

    /// Says why there is nothing to see, if that is so.
    pub(super) fn explain_emptiness(&self) {
        let imp = self.imp();
        let Some(gallery) = self.gallery() else { return };
        let empty = gallery.list().n_items() == 0 && !gallery.listing();
        if self.in_picture() || !empty {
            if !self.in_picture() {
                imp.stack.set_visible_child(&*imp.grid);
            }
            return;
        }
        let trouble = imp.trouble.borrow();
        let filtered = !gallery.arrangement().filter.is_empty();
        let (icon, title, why) = match trouble.as_deref() {
            // There were names to look through.
            Some(why) if !filtered || gallery.total() == 0 => {
                ("dialog-error-symbolic", "This Folder Cannot Be Read", why)
            }
            _ if filtered => {
                ("system-search-symbolic", "No Results Found", "No name contains what was typed")
            }
            _ => ("folder-pictures-symbolic", "No Pictures", "There are no pictures here"),
        };
        imp.empty.set_icon_name(Some(icon));
        imp.empty.set_title(title);
        imp.empty.set_description(Some(&glib::markup_escape_text(why)));
        imp.elsewhere.set_visible(!filtered);
        imp.stack.set_visible_child(&*imp.empty);
    }
}

/// How many pictures there are, and how many of them are looked for, for the heading.
fn count(gallery: &Gallery) -> String {
    let pictures = match gallery.total() {
        1 => "1 picture".to_owned(),
        total => format!("{} pictures", with_spaces(total)),
    };
    let pictures = match gallery.matches() {
        Some(matches) => format!("{} of {pictures}", with_spaces(matches)),
        None => pictures,
    };
    match gallery.failed() {
        0 => pictures,
        failed => format!("{pictures}, {} cannot be shown", with_spaces(failed)),
    }
}

/// A number with thin spaces between its thousands.
fn with_spaces(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::with_spaces;

    #[test]
    fn thousands_are_apart() {
        let texts = [0, 999, 1000, 1_234_567].map(with_spaces);
        assert_eq!(texts, ["0", "999", "1\u{2009}000", "1\u{2009}234\u{2009}567"]);
    }
}
