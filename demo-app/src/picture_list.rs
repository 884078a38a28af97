//! The pictures in the order to show them, as GTK's lists want it. Items are made on demand and hold
//! nothing but an id: a million pictures cost four octets each here, and none before they are sorted. As long as GTK
//! holds an item it is the only one of its picture: so GTK knows a picture that has moved.

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gio, glib};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Pictures that a list may tell to have changed in place.
const FEW: u32 = 256;
/// Items that nobody holds any more are looked for after at least so many new ones.
const SOME: usize = 64;

mod imp {
    use super::*;

    #[derive(Debug, Default)]
    pub struct PictureItem {
        pub id: Cell<u32>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PictureItem {
        const NAME: &'static str = "TinePictureItem";
        type Type = super::PictureItem;
    }

    impl ObjectImpl for PictureItem {}

    #[derive(Debug, Default)]
    pub struct PictureList {
        /// The ids in the order to show them; none if that is the order of the ids.
        pub order: RefCell<Option<Arc<Vec<u32>>>>,
        pub len: Cell<u32>,
        /// What `order` was before the change that is being told.
        pub before: RefCell<Option<Arc<Vec<u32>>>>,
        /// By id those that somebody holds, and some that nobody does any more.
        pub items: RefCell<HashMap<u32, glib::WeakRef<super::PictureItem>>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PictureList {
        const NAME: &'static str = "TinePictureList";
        type Type = super::PictureList;
        type Interfaces = (gio::ListModel,);
    }

    impl ObjectImpl for PictureList {}

    impl ListModelImpl for PictureList {
        fn item_type(&self) -> glib::Type {
            super::PictureItem::static_type()
        }

        fn n_items(&self) -> u32 {
            self.len.get()
        }

        fn item(&self, position: u32) -> Option<glib::Object> {
            let id = self.obj().id(position)?;
            let held = self.items.borrow().get(&id).and_then(glib::WeakRef::upgrade);
            Some(held.unwrap_or_else(|| self.new_item(id)).upcast())
        }
    }

    impl PictureList {
        fn new_item(&self, id: u32) -> super::PictureItem {
            let item: super::PictureItem = glib::Object::new();
            item.imp().id.set(id);
            let mut items = self.items.borrow_mut();
            if items.len() == items.capacity() {
                items.retain(|_, item| item.upgrade().is_some());
                let more = items.len() + SOME;
                items.reserve(more);
            }
            items.insert(id, item.downgrade());
            item
        }
    }
}

glib::wrapper! {
    /// A picture in a list.
    pub struct PictureItem(ObjectSubclass<imp::PictureItem>);
}

impl PictureItem {
    /// The picture's id in the catalog.
    pub fn id(&self) -> u32 {
        self.imp().id.get()
    }
}

glib::wrapper! {
    /// The pictures in the order to show them.
    pub struct PictureList(ObjectSubclass<imp::PictureList>) @implements gio::ListModel;
}

impl Default for PictureList {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl PictureList {
    /// Pictures in this order.
    pub fn ordered(order: Arc<Vec<u32>>) -> Self {
        let list = Self::default();
        list.imp().len.set(order.len() as u32);
        list.imp().order.replace(Some(order));
        list
    }

    /// The ids in the order to show them; none if that is the order of the ids.
    pub fn order(&self) -> Option<Arc<Vec<u32>>> {
        self.imp().order.borrow().clone()
    }

    /// The id of the picture in this place.
    pub fn id(&self, position: u32) -> Option<u32> {
        if position >= self.imp().len.get() {
            return None;
        }
        let order = self.imp().order.borrow();
        Some(order.as_ref().map_or(position, |order| order[position as usize]))
    }

    /// The id of the picture that was in this place before the change that is being told.
    pub fn id_before(&self, position: u32) -> u32 {
        let before = self.imp().before.borrow();
        before.as_ref().map_or(position, |before| before[position as usize])
    }

    /// The place of this picture.
    pub fn position(&self, id: u32) -> Option<u32> {
        match &*self.imp().order.borrow() {
            Some(order) => order.iter().position(|other| *other == id).map(|at| at as u32),
            None => (id < self.imp().len.get()).then_some(id),
        }
    }

    /// Adds pictures with these ids, which are the next ones, at the end.
    pub fn append(&self, ids: Range<u32>) {
        let count = ids.len() as u32;
        if let Some(order) = &mut *self.imp().order.borrow_mut() {
            Arc::make_mut(order).extend(ids);
        }
        let len = self.imp().len.replace(self.imp().len.get() + count);
        self.items_changed(len, 0, count);
    }

    /// Takes over an order that differs in few places, or lacks some in one place, and tells so. Otherwise nothing is
    /// done, and the order comes back: it is one for a new list, as GTK looks at each picture that comes, and what comes
    /// back is not selected any more.
    pub fn rearrange(&self, order: Arc<Vec<u32>>) -> Result<(), Arc<Vec<u32>>> {
        let change = self.change_to(&order);
        if change.added > 0 && change.removed.max(change.added) > FEW {
            return Err(order);
        }
        self.imp().len.set(order.len() as u32);
        let before = self.imp().order.replace(Some(order));
        if change.removed + change.added > 0 {
            self.imp().before.replace(before);
            self.items_changed(change.from, change.removed, change.added);
            self.imp().before.take();
        }
        Ok(())
    }

    /// What is between the same beginning and the same end.
    fn change_to(&self, order: &[u32]) -> Change {
        let (old_len, new_len) = (self.imp().len.get(), order.len() as u32);
        let held = self.imp().order.borrow();
        let old = |place: u32| held.as_ref().map_or(place, |held| held[place as usize]);
        let new = |place: u32| order[place as usize];
        let shorter = old_len.min(new_len);
        let from = (0..shorter).find(|place| old(*place) != new(*place)).unwrap_or(shorter);
        let same_end = (1..=shorter - from)
            .find(|back| old(old_len - back) != new(new_len - back))
            .map_or(shorter - from, |back| back - 1);
        Change { from, removed: old_len - from - same_end, added: new_len - from - same_end }
    }
}

/// Pictures that were replaced by others.
struct Change {
    from: u32,
    removed: u32,
    added: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_places() {
        let list = PictureList::default();
        list.append(0..2);
        list.append(2..3);
        assert_eq!((list.n_items(), list.id(2), list.id(3)), (3, Some(2), None));
        assert_eq!((list.position(1), list.position(3)), (Some(1), None));
        let list = PictureList::ordered(Arc::new(vec![2, 0, 1]));
        assert_eq!((list.n_items(), list.id(0), list.position(0)), (3, Some(2), Some(1)));
        list.append(3..5);
        assert_eq!((list.n_items(), list.id(4)), (5, Some(4)));
        let item = list.item(2).and_downcast::<PictureItem>().unwrap();
        assert_eq!(item.id(), 1);
        assert!(list.item(5).is_none());
    }

    #[test]
    fn small_changes_are_told_and_large_ones_are_for_a_new_list() {
        let list = PictureList::default();
        list.append(0..5);
        let told = std::rc::Rc::new(RefCell::new(Vec::new()));
        let tell = std::rc::Rc::clone(&told);
        list.connect_items_changed(move |_, from, removed, added| {
            tell.borrow_mut().push((from, removed, added));
        });
        for order in [vec![0, 1, 2, 3, 4], vec![0, 1, 3, 4], vec![0, 5, 1, 3, 4], vec![], vec![7]] {
            list.rearrange(Arc::new(order)).unwrap();
        }
        assert_eq!(*told.borrow(), [(2, 1, 0), (1, 0, 1), (0, 5, 0), (0, 0, 1)]);
        let many = Arc::new((0..2 * FEW).collect::<Vec<_>>());
        assert_eq!(list.rearrange(Arc::clone(&many)), Err(Arc::clone(&many)));
        assert_eq!(list.id(0), Some(7));
        // Without some in one place it is the same list, however many they are.
        let list = PictureList::ordered(many);
        assert_eq!(list.rearrange(Arc::new(vec![0, 2 * FEW - 1])), Ok(()));
        assert_eq!(list.id(1), Some(2 * FEW - 1));
    }
}
