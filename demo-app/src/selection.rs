//! Which pictures are selected: a bit for each place, where GTK's own model keeps an object for each
//! selected item.

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{Bitset, gio, glib};
use std::cell::{OnceCell, RefCell};

use crate::chosen::Chosen;
use crate::id_set::IdSet;
use crate::picture_list::{PictureItem, PictureList};

mod imp {
    use super::*;

    #[derive(Debug)]
    pub struct Selection {
        pub list: OnceCell<PictureList>,
        pub places: RefCell<Bitset>,
    }

    impl Default for Selection {
        fn default() -> Self {
            Self { list: OnceCell::new(), places: RefCell::new(Bitset::new_empty()) }
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Selection {
        const NAME: &'static str = "TineSelection";
        type Type = super::Selection;
        type Interfaces = (gio::ListModel, gtk4::SelectionModel);
    }

    impl ObjectImpl for Selection {}

    impl ListModelImpl for Selection {
        fn item_type(&self) -> glib::Type {
            PictureItem::static_type()
        }

        fn n_items(&self) -> u32 {
            self.list.get().map_or(0, PictureList::n_items)
        }

        fn item(&self, position: u32) -> Option<glib::Object> {
            self.list.get()?.item(position)
        }
    }

    impl SelectionModelImpl for Selection {
        fn selection_in_range(&self, position: u32, count: u32) -> Bitset {
            let selected = Bitset::new_range(position, count);
            selected.intersect(&self.places.borrow());
            selected
        }

        fn is_selected(&self, position: u32) -> bool {
            self.places.borrow().contains(position)
        }

        fn set_selection(&self, selected: &Bitset, mask: &Bitset) -> bool {
            // What is selected in the mask, and what was outside of it.
            let places = self.places.borrow().copy();
            places.subtract(mask);
            let inside = selected.copy();
            inside.intersect(mask);
            places.union(&inside);
            self.obj().set_places(places);
            true
        }

        // GTK's own versions of these make use of `set_selection`.
        fn select_all(&self) -> bool {
            self.obj().set_places(Bitset::new_range(0, self.n_items()));
            true
        }

        fn unselect_all(&self) -> bool {
            self.obj().set_places(Bitset::new_empty());
            true
        }
    }
}

glib::wrapper! {
    /// The pictures of a list, some of which are selected.
    pub struct Selection(ObjectSubclass<imp::Selection>)
        @implements gio::ListModel, gtk4::SelectionModel;
}

impl Selection {
    /// Nothing of `list` is selected.
    pub fn new(list: &PictureList) -> Self {
        let selection: Self = glib::Object::new();
        list.connect_items_changed(glib::clone!(
            #[weak]
            selection,
            move |_, from, removed, added| {
                selection.imp().places.borrow().splice(from, removed, added);
                selection.items_changed(from, removed, added);
            }
        ));
        // It was made a few lines above: nothing is set yet.
        let _unset = selection.imp().list.set(list.clone());
        selection
    }

    /// The places that are selected.
    pub fn places(&self) -> Bitset {
        self.imp().places.borrow().copy()
    }

    /// Whether anything is selected.
    pub fn has_some(&self) -> bool {
        !self.imp().places.borrow().is_empty()
    }

    /// The pictures that are selected.
    pub fn chosen(&self) -> Chosen {
        let order = self.imp().list.get().and_then(PictureList::order);
        Chosen::new(&self.imp().places.borrow(), order)
    }

    /// Selects these pictures, and no others.
    pub fn set_ids(&self, ids: &IdSet) {
        let places = Bitset::new_empty();
        if let Some(list) = self.imp().list.get().filter(|_| ids.len() > 0) {
            let order = list.order();
            let id = |place: u32| order.as_ref().map_or(place, |order| order[place as usize]);
            // Stretch by stretch: GTK's own set takes longer for each place than all else here.
            let mut start = None;
            for place in 0..=list.n_items() {
                let is_selected = place < list.n_items() && ids.contains(id(place));
                match (is_selected, start) {
                    (true, None) => start = Some(place),
                    (false, Some(first)) => {
                        places.add_range(first, place - first);
                        start = None;
                    }
                    _ => (),
                }
            }
        }
        self.set_places(places);
    }

    fn set_places(&self, places: Bitset) {
        let before = self.imp().places.replace(places.copy());
        before.difference(&places);
        if !before.is_empty() {
            let (first, last) = (before.minimum(), before.maximum());
            self.selection_changed(first, last - first + 1);
        }
    }
}
