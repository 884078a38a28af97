//! The pictures in the order to show them, as GTK's lists want it. Items are made on demand and hold
//! nothing but an id: a million pictures cost four octets each here, and none before they are sorted.

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gio, glib};
use std::cell::{Cell, OnceCell};

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
        /// The ids in the order to show them; unset if that is the order of the ids.
        pub order: OnceCell<Vec<u32>>,
        pub len: Cell<u32>,
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
            let item = glib::Object::new::<super::PictureItem>();
            item.imp().id.set(id);
            Some(item.upcast())
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
    /// All pictures of a catalog, in this order.
    pub fn ordered(order: Vec<u32>) -> Self {
        let list = Self::default();
        list.imp().len.set(order.len() as u32);
        // It was made a line above: nothing is set yet.
        let _unset = list.imp().order.set(order);
        list
    }

    /// The id of the picture in this place.
    pub fn id(&self, position: u32) -> Option<u32> {
        let here = position < self.imp().len.get();
        here.then(|| self.imp().order.get().map_or(position, |order| order[position as usize]))
    }

    /// The place of this picture.
    pub fn position(&self, id: u32) -> Option<u32> {
        match self.imp().order.get() {
            Some(order) => order.iter().position(|other| *other == id).map(|at| at as u32),
            None => (id < self.imp().len.get()).then_some(id),
        }
    }

    /// Adds pictures with the next ids, at the end.
    pub fn append(&self, count: u32) {
        debug_assert!(self.imp().order.get().is_none(), "names come before the order");
        let len = self.imp().len.replace(self.imp().len.get() + count);
        self.items_changed(len, 0, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_places() {
        let list = PictureList::default();
        list.append(2);
        list.append(1);
        assert_eq!((list.n_items(), list.id(2), list.id(3)), (3, Some(2), None));
        assert_eq!((list.position(1), list.position(3)), (Some(1), None));
        let list = PictureList::ordered(vec![2, 0, 1]);
        assert_eq!((list.n_items(), list.id(0), list.position(0)), (3, Some(2), Some(1)));
        let item = list.item(2).and_downcast::<PictureItem>().unwrap();
        assert_eq!(item.id(), 1);
        assert!(list.item(3).is_none());
    }
}
