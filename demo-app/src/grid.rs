//! The grid of tiles. It tells the gallery what is in view, and the tiles what has come.
//!
//! ```text
//! Grid (GtkWidget)
//! └ GtkScrolledWindow
//!   └ GtkGridView of Tile: must be the direct child, or it makes widgets for everything
//! ```

use gtk4::glib;
use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::ops::Range;

use crate::gallery::Gallery;
use crate::picture_list::PictureItem;
use crate::thumbnails::Thumbnail;
use crate::tile::{Face, Tile, WIDTH};

/// Width of a cell of the grid: a tile and the padding around it, see `style.css`.
const CELL: i32 = WIDTH + 2 * 4;

mod imp {
    use super::*;

    #[derive(Default, gtk4::CompositeTemplate)]
    #[template(file = "grid.ui")]
    pub struct Grid {
        #[template_child]
        pub scrolled: TemplateChild<gtk4::ScrolledWindow>,
        #[template_child]
        pub view: TemplateChild<gtk4::GridView>,
        /// The tiles that show a picture, by its id.
        pub tiles: RefCell<HashMap<u32, Tile>>,
        pub gallery: OnceCell<Gallery>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Grid {
        const NAME: &'static str = "TineGrid";
        type Type = super::Grid;
        type ParentType = gtk4::Widget;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.set_layout_manager_type::<gtk4::BinLayout>();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for Grid {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().build_factory();
            self.obj().follow_view();
        }

        fn dispose(&self) {
            self.scrolled.unparent();
        }
    }

    impl WidgetImpl for Grid {
        fn grab_focus(&self) -> bool {
            self.view.grab_focus()
        }
    }
}

glib::wrapper! {
    /// The grid of tiles.
    pub struct Grid(ObjectSubclass<imp::Grid>)
        @extends gtk4::Widget,
        @implements gtk4::Buildable, gtk4::ConstraintTarget;
}

impl Grid {
    /// Shows what is in `gallery`; once.
    pub fn set_gallery(&self, gallery: &Gallery) {
        // Called once, as its doc asks.
        let _unset = self.imp().gallery.set(gallery.clone());
        let follow = |this: &Self, gallery: &Gallery| this.set_list(&gallery.list());
        gallery.connect_list_notify(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |gallery| follow(&this, gallery)
        ));
        gallery.connect_thumbnail(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_, id| this.thumbnail_came(id)
        ));
        follow(self, gallery);
    }

    /// The place that is selected.
    pub fn selected(&self) -> Option<u32> {
        let selection = self.selection()?;
        Some(selection.selected()).filter(|place| *place != gtk4::INVALID_LIST_POSITION)
    }

    /// Selects a place, shows it, and gives it the keyboard.
    pub fn select(&self, place: u32) {
        let view = &self.imp().view;
        let scroll = view.activate_action("list.scroll-to-item", Some(&place.to_variant()));
        debug_assert!(scroll.is_ok(), "GtkGridView has the action since 4.0");
        if let Some(selection) = self.selection() {
            selection.set_selected(place);
        }
        // The list's own widget around the tile has the focus; GTK before 4.12 has no other way.
        let id = self.imp().gallery.get().and_then(|gallery| gallery.list().id(place));
        let tile = id.and_then(|id| self.imp().tiles.borrow().get(&id).cloned());
        if let Some(cell) = tile.and_then(|tile| tile.parent()) {
            cell.grab_focus();
        }
    }

    /// Calls `act` with the place that was double-clicked, or entered with the keyboard.
    pub fn connect_activate(&self, act: impl Fn(u32) + 'static) {
        self.imp().view.connect_activate(move |_, place| act(place));
    }

    /// Whether all tiles in view have their thumbnail, or a reason. What one lacks is asked for: it may
    /// have been made and given up before its tile was there.
    pub fn is_settled(&self) -> bool {
        let Some(gallery) = self.imp().gallery.get() else { return false };
        self.tell_view();
        let list = gallery.list();
        let tiles = self.imp().tiles.borrow();
        let in_view = self.in_view().filter_map(|place| list.id(place));
        let mut lacking = in_view.filter_map(|id| tiles.get(&id)).filter(|tile| !tile.is_settled());
        !tiles.is_empty() && lacking.next().is_none()
    }

    fn selection(&self) -> Option<gtk4::SingleSelection> {
        self.imp().view.model().and_downcast()
    }

    /// Shows another list, with the same picture selected.
    fn set_list(&self, list: &crate::picture_list::PictureList) {
        // The first place is selected anyway: nobody has moved away from it.
        let before = self.selection().filter(|selection| selection.selected() > 0);
        let item = before.and_then(|selection| selection.selected_item());
        let id = item.and_downcast::<PictureItem>().map(|item| item.id());
        let selection = gtk4::SingleSelection::new(Some(list.clone()));
        self.imp().view.set_model(Some(&selection));
        if let Some(place) = id.and_then(|id| list.position(id)) {
            self.select(place);
        }
    }

    fn build_factory(&self) {
        let factory = gtk4::SignalListItemFactory::new();
        factory.connect_setup(|_, item| {
            list_item(item).set_child(Some(&Tile::default()));
        });
        factory.connect_bind(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_, item| this.bind(list_item(item))
        ));
        factory.connect_unbind(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_, item| this.unbind(list_item(item))
        ));
        self.imp().view.set_factory(Some(&factory));
    }

    fn bind(&self, item: &gtk4::ListItem) {
        let (Some(tile), Some(picture), Some(gallery)) = (
            item.child().and_downcast::<Tile>(),
            item.item().and_downcast::<PictureItem>(),
            self.imp().gallery.get(),
        ) else {
            return;
        };
        tile.bind(picture.id(), &gallery.name(picture.id()));
        gallery.with_thumbnail(picture.id(), |thumbnail| show(&tile, thumbnail));
        self.imp().tiles.borrow_mut().insert(picture.id(), tile);
    }

    fn unbind(&self, item: &gtk4::ListItem) {
        let Some(tile) = item.child().and_downcast::<Tile>() else { return };
        let mut tiles = self.imp().tiles.borrow_mut();
        // Another tile may have been bound to the picture before this one was unbound.
        if let Some(id) = tile.id()
            && tiles.get(&id) == Some(&tile)
        {
            tiles.remove(&id);
        }
        tile.unbind();
    }

    fn thumbnail_came(&self, id: u32) {
        let tile = self.imp().tiles.borrow().get(&id).cloned();
        if let (Some(tile), Some(gallery)) = (tile, self.imp().gallery.get()) {
            gallery.with_thumbnail(id, |thumbnail| show(&tile, thumbnail));
        }
    }

    /// Keeps the gallery informed of what is in view.
    fn follow_view(&self) {
        let adjustment = self.imp().scrolled.vadjustment();
        let tell = glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_: &gtk4::Adjustment| this.tell_view()
        );
        adjustment.connect_value_changed(tell.clone());
        adjustment.connect_changed(tell);
        let across = self.imp().scrolled.hadjustment();
        across.connect_changed(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |across| this.fit_columns(across.page_size() as i32)
        ));
    }

    /// The grid makes widgets for so many columns, thirty rows of them: no more than fit.
    fn fit_columns(&self, width: i32) {
        let columns = (width / CELL).max(1) as u32;
        let view = self.imp().view.get();
        if view.max_columns() != columns {
            // Not while sizes are being given out.
            let this = self.clone();
            glib::idle_add_local_once(move || {
                view.set_min_columns(1);
                view.set_max_columns(columns);
                view.set_min_columns(columns);
                this.tell_view();
            });
        }
    }

    fn tell_view(&self) {
        let Some(gallery) = self.imp().gallery.get() else { return };
        let in_view = self.in_view();
        let page = in_view.end - in_view.start;
        let near = in_view.start.saturating_sub(page)..in_view.end + page;
        gallery.set_view(in_view, near);
    }

    /// The places in view, all rows being equally high.
    fn in_view(&self) -> Range<u32> {
        let adjustment = self.imp().scrolled.vadjustment();
        let count = self.imp().gallery.get().map_or(0, |gallery| gallery.list().n_items());
        let columns = self.imp().view.max_columns();
        let rows = count.div_ceil(columns);
        let row = adjustment.upper() / f64::from(rows.max(1));
        if row <= 0.0 || adjustment.page_size() <= 0.0 {
            return 0..0;
        }
        let first = (adjustment.value() / row).floor() as u32;
        let last = ((adjustment.value() + adjustment.page_size()) / row).ceil() as u32;
        (first * columns).min(count)..last.saturating_mul(columns).min(count)
    }
}

/// Puts a thumbnail on a tile, if there is one.
fn show(tile: &Tile, thumbnail: Thumbnail<'_, gtk4::gdk::Texture>) {
    match thumbnail {
        Thumbnail::Pending => {}
        Thumbnail::Kept(texture) => tile.set_face(Face::Texture(texture.clone())),
        Thumbnail::Failed(reason) => tile.set_face(Face::Failed(reason.to_owned())),
    }
}

/// What a factory's signals are about: in GTK 4.8 always this.
fn list_item(item: &glib::Object) -> &gtk4::ListItem {
    item.downcast_ref().expect("a GtkSignalListItemFactory of a GtkGridView gives list items")
}
