//! Which pictures are selected: by their places, where GTK's own model keeps an object for each selected item.

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{Bitset, gio, glib};
use std::cell::{OnceCell, RefCell};

use crate::chosen::Chosen;
use crate::id_set::IdSet;
use crate::picture_list::{PictureItem, PictureList};
use crate::stretches::Stretches;

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub struct Selection {
        pub list: OnceCell<PictureList>,
        pub places: RefCell<Stretches>,
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
            selected.intersect(&self.places.borrow().bitset());
            selected
        }

        fn is_selected(&self, position: u32) -> bool {
            self.places.borrow().contains(position)
        }

        fn set_selection(&self, selected: &Bitset, mask: &Bitset) -> bool {
            // What is selected in the mask, and what was outside of it.
            let places = self.places.borrow().bitset();
            places.subtract(mask);
            let inside = selected.copy();
            inside.intersect(mask);
            places.union(&inside);
            self.obj().set_places(Stretches::of(&places));
            true
        }

        // GTK's own versions of these make use of `set_selection`.
        fn select_all(&self) -> bool {
            self.obj().set_places(Stretches::one(0..self.n_items()));
            true
        }

        fn unselect_all(&self) -> bool {
            self.obj().set_places(Stretches::default());
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
            move |list, from, removed, added| {
                selection.follow(list, from, removed, added);
                selection.items_changed(from, removed, added);
            }
        ));
        // It was made a few lines above: nothing is set yet.
        let _unset = selection.imp().list.set(list.clone());
        selection
    }

    /// Follows a change of the list: who is still there, if elsewhere, is still selected.
    fn follow(&self, list: &PictureList, from: u32, removed: u32, added: u32) {
        let mut places = self.imp().places.borrow_mut();
        // If any come, few go.
        let gone = from..if added > 0 { from + removed } else { from };
        let gone = gone.filter(|place| places.contains(*place)).map(|place| list.id_before(place));
        let gone: IdSet = gone.collect();
        places.splice(from, removed, added);
        if gone.len() > 0 {
            let all = places.bitset();
            let is_back = |place: &u32| list.id(*place).is_some_and(|id| gone.contains(id));
            for place in (from..from + added).filter(is_back) {
                all.add(place);
            }
            *places = Stretches::of(&all);
        }
    }

    /// The first place that is selected.
    pub fn first(&self) -> Option<u32> {
        Some(self.imp().places.borrow().bounds()?.start)
    }

    /// Whether anything is selected.
    pub fn has_some(&self) -> bool {
        self.first().is_some()
    }

    /// The pictures that are selected.
    pub fn chosen(&self) -> Chosen {
        let order = self.imp().list.get().and_then(PictureList::order);
        Chosen::new(self.imp().places.borrow().clone(), order)
    }

    /// Selects these pictures, and no others.
    pub fn set_ids(&self, ids: &IdSet) {
        let mut places = Stretches::default();
        if let Some(list) = self.imp().list.get().filter(|_| ids.len() > 0) {
            let order = list.order();
            let id = |place: u32| order.as_ref().map_or(place, |order| order[place as usize]);
            let selected = (0..list.n_items()).filter(|place| ids.contains(id(*place)));
            selected.for_each(|place| places.push(place..place + 1));
        }
        self.set_places(places);
    }

    fn set_places(&self, places: Stretches) {
        let new = places.bounds();
        let old = self.imp().places.replace(places).bounds();
        let both = [old, new].into_iter().flatten();
        let changed = both.reduce(|one, other| one.start.min(other.start)..one.end.max(other.end));
        if let Some(changed) = changed {
            self.selection_changed(changed.start, changed.len() as u32);
        }
    }
}
