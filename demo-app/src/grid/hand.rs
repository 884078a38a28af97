//! What the pointer does in the grid: pictures are dragged out, and have a menu, which has keys, too.

use super::*;
use gtk4::gdk;

/// Actions and their keys.
pub fn install(class: &mut <imp::Grid as ObjectSubclass>::Class) {
    let (none, shift) = (gdk::ModifierType::empty(), gdk::ModifierType::SHIFT_MASK);
    class.install_action("grid.menu", None, |grid, _, _| grid.show_menu_at_keyboard());
    class.add_binding_action(gdk::Key::Menu, none, "grid.menu");
    class.add_binding_action(gdk::Key::F10, shift, "grid.menu");
    class.add_binding_action(gdk::Key::Escape, none, "win.escape");
}

impl Grid {
    pub(super) fn follow_pointer(&self) {
        self.follow_drags();
        let click = gtk4::GestureClick::builder().button(gdk::BUTTON_SECONDARY).build();
        click.connect_pressed(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_, _, x, y| this.show_menu(x, y)
        ));
        self.imp().view.add_controller(click);
    }

    fn follow_drags(&self) {
        let drag = gtk4::DragSource::builder().actions(gdk::DragAction::COPY).build();
        // Before the grid takes the drag for one around pictures.
        drag.set_propagation_phase(gtk4::PropagationPhase::Capture);
        drag.connect_prepare(glib::clone!(
            #[weak(rename_to = this)]
            self,
            #[upgrade_or_default]
            move |drag, x, y| {
                // Nobody knows any more where it began when the drag is told to have done so.
                if let Some(Face::Texture(texture)) = this.tile_at(x, y).map(|tile| tile.face()) {
                    drag.set_icon(Some(&texture), texture.width() / 2, texture.height() / 2);
                }
                this.dragged(x, y)
            }
        ));
        self.imp().view.add_controller(drag);
    }

    /// The files to drag from here: all that are selected, if the one here is.
    fn dragged(&self, x: f64, y: f64) -> Option<gdk::ContentProvider> {
        let (id, gallery) = (self.tile_at(x, y)?.id()?, self.gallery()?);
        let is_selected = |place| self.selection().is_some_and(|all| all.is_selected(place));
        let chosen = match gallery.list().position(id).is_some_and(is_selected) {
            true => self.selected(),
            false => Chosen::one(id),
        };
        Some(carried::provider(gallery.catalog(), chosen))
    }

    fn show_menu(&self, x: f64, y: f64) {
        if let Some(tile) = self.tile_at(x, y)
            && let Some(at) = self.imp().view.translate_coordinates(self, x, y)
        {
            self.show_menu_of(&tile, at);
        }
    }

    fn show_menu_at_keyboard(&self) {
        if let Some(tile) = self.focused()
            && let Some(at) = tile.translate_coordinates(
                self,
                f64::from(tile.width()) / 2.0,
                f64::from(tile.height()) / 2.0,
            )
        {
            self.show_menu_of(&tile, at);
        }
    }

    /// The menu is about all that are selected, if this one is.
    fn show_menu_of(&self, tile: &Tile, at: (f64, f64)) {
        let place = tile.id().and_then(|id| self.gallery()?.list().position(id));
        let (Some(place), Some(selection)) = (place, self.selection()) else { return };
        if !selection.is_selected(place) {
            selection.select_item(place, true);
        }
        self.imp().menu.open(self, &self.imp().context, at);
    }

    fn tile_at(&self, x: f64, y: f64) -> Option<Tile> {
        let widget = self.imp().view.pick(x, y, gtk4::PickFlags::DEFAULT)?;
        widget.clone().downcast().ok().or_else(|| widget.first_child().and_downcast())
    }
}
