//! The grid of tiles. It tells the gallery what is in view, and the tiles what has come.
//!
//! ```text
//! Grid (GtkWidget)
//! ├ GtkOverlay
//! │ ├ GtkScrolledWindow
//! │ │ └ GtkGridView of Tile: must be the direct child, or it makes widgets for everything
//! │ └ typed: what was typed to find a name
//! └ menu, while it is open
//! ```

mod hand;
mod typed;
mod view;

pub use view::fitting;

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gio, glib};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use crate::carried;
use crate::catalog::Kind;
use crate::chosen::Chosen;
use crate::gallery::{Gallery, Signals};
use crate::menu::Menu;
use crate::picture_list::{PictureItem, PictureList};
use crate::selection::Selection;
use crate::thumbnails::Thumbnail;
use crate::tile::{Face, Shape, Tile};

mod imp {
    use super::*;

    #[derive(gtk4::CompositeTemplate)]
    #[template(file = "grid.ui")]
    pub struct Grid {
        #[template_child]
        pub overlay: TemplateChild<gtk4::Overlay>,
        #[template_child]
        pub scrolled: TemplateChild<gtk4::ScrolledWindow>,
        #[template_child]
        pub view: TemplateChild<gtk4::GridView>,
        #[template_child]
        pub typed: TemplateChild<gtk4::Label>,
        #[template_child]
        pub context: TemplateChild<gio::MenuModel>,
        pub menu: Menu,
        pub shape: Rc<Shape>,
        /// The tiles that show a picture, by its id.
        pub tiles: RefCell<HashMap<u32, Tile>>,
        pub gallery: RefCell<Option<Gallery>>,
        /// What is heard of the gallery.
        pub signals: RefCell<Option<Signals>>,
        /// Ends the word that is being typed.
        pub word_ends: RefCell<Option<glib::SourceId>>,
        pub(super) search: Cell<super::typed::Search>,
    }

    impl Default for Grid {
        fn default() -> Self {
            Self {
                overlay: Default::default(),
                scrolled: Default::default(),
                view: Default::default(),
                typed: Default::default(),
                context: Default::default(),
                menu: Default::default(),
                shape: Shape::new(super::SIDE),
                tiles: RefCell::default(),
                gallery: RefCell::default(),
                signals: RefCell::default(),
                word_ends: RefCell::default(),
                search: Cell::default(),
            }
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Grid {
        const NAME: &'static str = "TineGrid";
        type Type = super::Grid;
        type ParentType = gtk4::Widget;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.set_layout_manager_type::<gtk4::BinLayout>();
            super::hand::install(class);
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for Grid {
        fn constructed(&self) {
            self.parent_constructed();
            let grid = self.obj();
            grid.build_factory();
            grid.follow_view();
            grid.follow_pointer();
            grid.follow_typing();
        }

        fn dispose(&self) {
            self.overlay.unparent();
            self.menu.remove();
        }
    }

    impl WidgetImpl for Grid {
        fn grab_focus(&self) -> bool {
            self.view.grab_focus()
        }

        fn focus(&self, direction: gtk4::DirectionType) -> bool {
            use gtk4::DirectionType::{TabBackward, TabForward};
            let focus = self.obj().root().and_then(|root| root.focus());
            let is_inside = focus.is_some_and(|focus| focus.is_ancestor(&*self.obj()));
            // GTK before 4.12 would go from tile to tile, of which there may be a million.
            let leaves = is_inside && matches!(direction, TabForward | TabBackward);
            !leaves && self.parent_focus(direction)
        }

        fn realize(&self) {
            self.parent_realize();
            self.obj().follow_font();
        }
    }
}

/// Width and height of a thumbnail at first, in logical pixels.
pub const SIDE: i32 = 160;

glib::wrapper! {
    /// The grid of tiles.
    pub struct Grid(ObjectSubclass<imp::Grid>)
        @extends gtk4::Widget,
        @implements gtk4::Buildable, gtk4::ConstraintTarget;
}

impl Grid {
    /// Shows what is in `gallery`, instead of what was shown before.
    pub fn set_gallery(&self, gallery: &Gallery) {
        self.imp().gallery.replace(Some(gallery.clone()));
        self.forget_search();
        self.imp().signals.replace(Some(self.listen(gallery)));
        self.imp().view.set_model(Some(&Selection::new(&gallery.list())));
    }

    fn gallery(&self) -> Option<Gallery> {
        self.imp().gallery.borrow().clone()
    }

    /// GTK's part of it.
    pub fn view(&self) -> gtk4::GridView {
        self.imp().view.get()
    }

    /// What is selected.
    pub fn selection(&self) -> Option<Selection> {
        self.imp().view.model().and_downcast()
    }

    /// The pictures and folders that are selected.
    pub fn selected(&self) -> Chosen {
        self.selection().map(|selection| selection.chosen()).unwrap_or_default()
    }

    /// The place of the first one that is selected, or else has the keyboard.
    pub fn cursor(&self) -> Option<u32> {
        let selected = self.selection()?.first();
        selected.or_else(|| self.gallery()?.list().position(self.focused()?.id()?))
    }

    /// The tile that has the keyboard.
    fn focused(&self) -> Option<Tile> {
        self.imp().view.focus_child()?.first_child().and_downcast()
    }

    /// Selects a place, shows it, and gives it the keyboard.
    pub fn select(&self, place: u32) {
        self.scroll_to(place);
        if let Some(selection) = self.selection() {
            selection.select_item(place, true);
        }
        self.focus_place(place);
    }

    /// Gives the keyboard to a place in view.
    fn focus_place(&self, place: u32) {
        // The list's own widget around the tile has the focus; GTK before 4.12 has no other way.
        let id = self.gallery().and_then(|gallery| gallery.list().id(place));
        let tile = id.and_then(|id| self.imp().tiles.borrow().get(&id).cloned());
        if let Some(cell) = tile.and_then(|tile| tile.parent()) {
            cell.grab_focus();
        }
    }

    /// Width and height of a thumbnail, in logical pixels.
    pub fn side(&self) -> i32 {
        self.imp().shape.side()
    }

    /// Shows thumbnails of this size, and the same pictures.
    pub fn set_side(&self, side: i32) {
        let first = self.in_view().start;
        self.imp().shape.set_side(side);
        for tile in self.imp().tiles.borrow().values() {
            tile.shape_changed();
        }
        if let Some(gallery) = self.gallery() {
            gallery.set_side((side * self.scale_factor()) as u32);
        }
        self.fit_columns();
        self.scroll_to(first);
    }

    /// Calls `act` with the place that was double-clicked, or entered with the keyboard.
    pub fn connect_activate(&self, act: impl Fn(u32) + 'static) {
        self.imp().view.connect_activate(move |_, place| act(place));
    }

    /// Whether all tiles in view have their thumbnail, or a reason. What one lacks is asked for: it may
    /// have been made and given up before its tile was there.
    pub fn is_settled(&self) -> bool {
        let Some(gallery) = self.gallery() else { return false };
        self.tell_view();
        let list = gallery.list();
        let tiles = self.imp().tiles.borrow();
        let in_view = self.in_view().filter_map(|place| list.id(place));
        let mut lacking = in_view.filter_map(|id| tiles.get(&id)).filter(|tile| !tile.is_settled());
        !tiles.is_empty() && lacking.next().is_none()
    }

    fn listen(&self, gallery: &Gallery) -> Signals {
        let mut signals = Signals::of(gallery);
        let this = self.downgrade();
        signals.add(|gallery| {
            gallery.connect_list_notify(move |gallery| {
                this.upgrade().inspect(|this| this.set_list(&gallery.list()));
            })
        });
        let this = self.downgrade();
        signals.add(|gallery| {
            gallery.connect_thumbnail(move |_, id| {
                this.upgrade().inspect(|this| this.thumbnail_came(id));
            })
        });
        // As many rows as before change no adjustment.
        let this = self.downgrade();
        signals.add(|gallery| {
            gallery.connect_listing_notify(move |_| {
                let this = this.clone();
                glib::idle_add_local_once(move || {
                    this.upgrade().inspect(Self::tell_view);
                });
            })
        });
        let this = self.downgrade();
        signals.add(|gallery| {
            gallery.connect_changed(move |_, id| {
                let tile =
                    this.upgrade().and_then(|this| this.imp().tiles.borrow().get(&id).cloned());
                tile.inspect(|tile| tile.set_face(Face::Pending));
            })
        });
        signals
    }

    /// Shows another list, with the same pictures selected.
    fn set_list(&self, list: &PictureList) {
        let selected = self.selected();
        let selection = Selection::new(list);
        selection.set_ids(&selected.ids());
        self.imp().view.set_model(Some(&selection));
        if let Some(place) = selection.first() {
            self.scroll_to(place);
        }
    }

    /// Another font has other measures.
    fn follow_font(&self) {
        self.settings().connect_gtk_font_name_notify(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_| {
                this.imp().shape.forget_font();
                for tile in this.imp().tiles.borrow().values() {
                    tile.shape_changed();
                }
            }
        ));
    }

    fn build_factory(&self) {
        let factory = gtk4::SignalListItemFactory::new();
        let shape = Rc::clone(&self.imp().shape);
        factory.connect_setup(move |_, item| {
            list_item(item).set_child(Some(&Tile::new(&shape)));
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
            self.gallery(),
        ) else {
            return;
        };
        let id = picture.id();
        tile.bind(id, gallery.name(id));
        match gallery.kind(id) {
            Kind::Folder => tile.set_face(Face::Folder),
            Kind::Picture => gallery.with_thumbnail(id, |thumbnail| show(&tile, thumbnail)),
        }
        self.imp().tiles.borrow_mut().insert(id, tile);
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
        if let (Some(tile), Some(gallery)) = (tile, self.gallery()) {
            gallery.with_thumbnail(id, |thumbnail| show(&tile, thumbnail));
        }
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
