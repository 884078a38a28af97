//! One picture, fitted into the window, and the way to the next.
//!
//! ```text
//! PictureView (GtkWidget)
//! └ GtkStack
//!   ├ picture: GtkPicture; first the thumbnail as a stand-in, then the whole
//!   └ failed: why there is none
//! ```

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gdk, glib};
use std::cell::{Cell, OnceCell, RefCell};
use tine_viewer::protocol::Size;

use crate::accessible::set_label;
use crate::gallery::Gallery;
use crate::thumbnails::Thumbnail;
use crate::tile;

mod imp {
    use super::*;

    #[derive(Default, gtk4::CompositeTemplate, glib::Properties)]
    #[template(file = "picture_view.ui")]
    #[properties(wrapper_type = super::PictureView)]
    pub struct PictureView {
        #[template_child]
        pub stack: TemplateChild<gtk4::Stack>,
        #[template_child]
        pub picture: TemplateChild<gtk4::Picture>,
        #[template_child]
        pub failed: TemplateChild<gtk4::Box>,
        #[template_child]
        pub reason: TemplateChild<gtk4::Label>,
        pub gallery: OnceCell<Gallery>,
        /// The id of the picture that is shown.
        pub id: Cell<u32>,
        /// The name of the picture that is shown.
        #[property(get, set)]
        title: RefCell<String>,
        /// The whole picture has come, or never will.
        pub settled: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PictureView {
        const NAME: &'static str = "TinePictureView";
        type Type = super::PictureView;
        type ParentType = gtk4::Widget;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.set_css_name("pictureview");
            class.set_layout_manager_type::<gtk4::BinLayout>();
            install_moves(class);
            let none = gdk::ModifierType::empty();
            class.add_binding_action(gdk::Key::Escape, none, "win.back");
            class.add_binding_action(gdk::Key::Return, none, "win.back");
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    /// Actions that move among the pictures, and their keys.
    fn install_moves(class: &mut <PictureView as ObjectSubclass>::Class) {
        use gdk::Key;
        let moves: [(&str, Move, &[Key]); 4] = [
            ("picture.next", Move::By(1), &[Key::Right, Key::Down, Key::space, Key::Page_Down]),
            ("picture.previous", Move::By(-1), &[Key::Left, Key::Up, Key::BackSpace, Key::Page_Up]),
            ("picture.first", Move::First, &[Key::Home]),
            ("picture.last", Move::Last, &[Key::End]),
        ];
        for (action, to, keys) in moves {
            class.install_action(action, None, move |view, _, _| view.go(to));
            for key in keys {
                class.add_binding_action(*key, gdk::ModifierType::empty(), action);
            }
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for PictureView {
        fn dispose(&self) {
            self.stack.unparent();
        }
    }

    impl WidgetImpl for PictureView {}
}

/// Which picture is next.
#[derive(Clone, Copy, Debug)]
enum Move {
    By(i32),
    First,
    Last,
}

glib::wrapper! {
    /// One picture, fitted into the window.
    pub struct PictureView(ObjectSubclass<imp::PictureView>)
        @extends gtk4::Widget,
        @implements gtk4::Buildable, gtk4::ConstraintTarget;
}

impl PictureView {
    /// Shows pictures of `gallery`; once.
    pub fn set_gallery(&self, gallery: &Gallery) {
        // Called once, as its doc asks.
        let _unset = self.imp().gallery.set(gallery.clone());
    }

    /// The id of the picture that is shown.
    pub fn id(&self) -> u32 {
        self.imp().id.get()
    }

    /// Whether the whole picture has come, or never will.
    pub fn is_settled(&self) -> bool {
        self.imp().settled.get()
    }

    /// Shows the picture with this id: at once its thumbnail if there is one, then the whole.
    pub fn show(&self, id: u32) {
        let imp = self.imp();
        let Some(gallery) = imp.gallery.get() else { return };
        imp.id.set(id);
        imp.settled.set(false);
        let name = gallery.name(id);
        set_label(&*imp.picture, &name);
        self.set_title(name);
        gallery.with_thumbnail(id, |thumbnail| match thumbnail {
            Thumbnail::Kept(texture) => self.set_stand_in(texture),
            Thumbnail::Pending | Thumbnail::Failed(_) => {
                imp.picture.set_paintable(gdk::Paintable::NONE)
            }
        });
        imp.stack.set_visible_child(&*imp.picture);
        let done = glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |result| this.came(result)
        );
        gallery.load(id, self.largest_monitor(), Box::new(done));
    }

    /// Shows nothing, and lets the picture go.
    pub fn clear(&self) {
        if let Some(gallery) = self.imp().gallery.get() {
            gallery.unload();
        }
        self.imp().picture.set_paintable(gdk::Paintable::NONE);
    }

    fn came(&self, result: Result<gdk::Texture, String>) {
        let imp = self.imp();
        imp.settled.set(true);
        match result {
            Ok(texture) => {
                imp.picture.set_content_fit(gtk4::ContentFit::ScaleDown);
                imp.picture.set_paintable(Some(&texture));
            }
            Err(reason) => {
                imp.reason.set_label(&reason);
                imp.stack.set_visible_child(&*imp.failed);
            }
        }
    }

    /// A reduced picture fills the window until the whole one is there; one that is small anyway
    /// stays as it is.
    fn set_stand_in(&self, thumbnail: &gdk::Texture) {
        let reduced = thumbnail.width().max(thumbnail.height()) >= tile::SIDE * self.scale_factor();
        let fit = if reduced { gtk4::ContentFit::Contain } else { gtk4::ContentFit::ScaleDown };
        self.imp().picture.set_content_fit(fit);
        self.imp().picture.set_paintable(Some(thumbnail));
    }

    fn go(&self, to: Move) {
        let Some(list) = self.imp().gallery.get().map(Gallery::list) else { return };
        let Some(place) = list.position(self.id()) else { return };
        let place = match to {
            Move::By(step) => place.checked_add_signed(step),
            Move::First => Some(0),
            Move::Last => list.n_items().checked_sub(1),
        };
        if let Some(id) = place.and_then(|place| list.id(place))
            && id != self.id()
        {
            self.show(id);
        }
    }

    /// What no window is larger than, in pixels: all that a picture fitted into one can show.
    fn largest_monitor(&self) -> Size {
        let monitors = self.display().monitors();
        let sizes = monitors.iter::<gdk::Monitor>().flatten().map(|monitor| {
            let (area, scale) = (monitor.geometry(), monitor.scale_factor());
            (area.width() * scale, area.height() * scale)
        });
        let (width, height) =
            sizes.fold((1, 1), |most, size| (most.0.max(size.0), most.1.max(size.1)));
        Size::new(width as u32, height as u32)
    }
}
