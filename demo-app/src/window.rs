//! The window.
//!
//! ```text
//! Window (GtkApplicationWindow)
//! ├ GtkHeaderBar: back, name of the folder or picture, how many pictures
//! └ GtkOverlay
//!   ├ GtkStack
//!   │ ├ Grid
//!   │ ├ PictureView
//!   │ └ empty: why there is nothing to see
//!   └ GtkProgressBar
//! ```

use gtk4::prelude::*;
use gtk4::subclass::prelude::*;
use gtk4::{gio, glib};
use std::cell::{OnceCell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

use crate::gallery::Gallery;
use crate::grid::Grid;
use crate::listing::{Source, split};
use crate::measures::Measures;
use crate::picture_view::PictureView;

mod imp {
    use super::*;

    #[derive(Default, gtk4::CompositeTemplate)]
    #[template(file = "window.ui")]
    pub struct Window {
        #[template_child]
        pub back: TemplateChild<gtk4::Button>,
        #[template_child]
        pub heading: TemplateChild<gtk4::Label>,
        #[template_child]
        pub subheading: TemplateChild<gtk4::Label>,
        #[template_child]
        pub stack: TemplateChild<gtk4::Stack>,
        #[template_child]
        pub grid: TemplateChild<Grid>,
        #[template_child]
        pub picture: TemplateChild<PictureView>,
        #[template_child]
        pub empty: TemplateChild<gtk4::Box>,
        #[template_child]
        pub message: TemplateChild<gtk4::Label>,
        #[template_child]
        pub progress: TemplateChild<gtk4::ProgressBar>,
        pub gallery: OnceCell<Gallery>,
        /// What the grid shows, in a word or two.
        pub place: RefCell<String>,
        /// What could not be listed, and why.
        pub trouble: RefCell<Option<String>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Window {
        const NAME: &'static str = "TineWindow";
        type Type = super::Window;
        type ParentType = gtk4::ApplicationWindow;

        fn class_init(class: &mut Self::Class) {
            Grid::ensure_type();
            PictureView::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for Window {}
    impl WidgetImpl for Window {}
    impl WindowImpl for Window {}
    impl ApplicationWindowImpl for Window {}
}

glib::wrapper! {
    /// The window.
    pub struct Window(ObjectSubclass<imp::Window>)
        @extends gtk4::ApplicationWindow, gtk4::Window, gtk4::Widget,
        @implements gio::ActionGroup, gio::ActionMap, gtk4::Buildable,
            gtk4::ConstraintTarget, gtk4::Native, gtk4::Root, gtk4::ShortcutManager;
}

impl Window {
    /// A window that shows what is in `gallery`.
    pub fn new(app: &gtk4::Application, gallery: &Gallery, measures: &Rc<Measures>) -> Self {
        let window: Self = glib::Object::builder().property("application", app).build();
        // It was made a line above: nothing is set yet.
        let _unset = window.imp().gallery.set(gallery.clone());
        window.imp().grid.set_gallery(gallery);
        window.imp().picture.set_gallery(gallery);
        window.follow_gallery(gallery);
        window.follow_pages();
        window.add_actions();
        window.measure(gallery, measures);
        window
    }

    /// Shows these folders and files; the one file alone at once, before its folder is listed.
    ///
    /// # Errors
    ///
    /// No thread can be started.
    pub fn open(&self, paths: &[PathBuf]) -> std::io::Result<()> {
        let Some(gallery) = self.imp().gallery.get() else { return Ok(()) };
        match paths {
            [file] if !file.is_dir() => {
                let (folder, name) = split(file);
                self.set_place(&folder);
                gallery.open(Some(file.clone()), vec![Source::Folder(folder, Some(name))])?;
                self.show_picture(0);
            }
            _ => {
                let source = |path: &PathBuf| match path.is_dir() {
                    true => Source::Folder(path.clone(), None),
                    false => Source::File(path.clone()),
                };
                match paths {
                    [folder] => self.set_place(folder),
                    _ => self.set_place(format!("{} places", paths.len()).as_ref()),
                }
                gallery.open(None, paths.iter().map(source).collect())?;
            }
        }
        Ok(())
    }

    /// Whether all that is in view is there, or it is said why not.
    pub fn is_settled(&self) -> bool {
        let imp = self.imp();
        match imp.stack.visible_child() {
            Some(page) if page == *imp.grid => imp.grid.is_settled(),
            Some(page) if page == *imp.picture => imp.picture.is_settled(),
            _ => true,
        }
    }

    fn set_place(&self, path: &std::path::Path) {
        let full = path.canonicalize().unwrap_or_else(|_| path.into());
        let name = full.file_name().unwrap_or(full.as_os_str()).to_string_lossy();
        self.imp().place.replace(name.into_owned());
        self.update_title();
    }

    fn follow_gallery(&self, gallery: &Gallery) {
        let update = glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_: &Gallery| this.update_title()
        );
        gallery.connect_total_notify(update.clone());
        gallery.connect_tried_notify(update);
        gallery.connect_listing_notify(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |gallery| this.explain_emptiness(gallery)
        ));
        gallery.connect_unreadable(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |_, path, why| {
                this.imp().trouble.replace(Some(format!("{path} cannot be read: {why}")));
            }
        ));
    }

    fn follow_pages(&self) {
        let imp = self.imp();
        let update = glib::clone!(
            #[weak(rename_to = this)]
            self,
            move || this.update_title()
        );
        imp.picture.connect_title_notify(glib::clone!(
            #[strong]
            update,
            move |_| update()
        ));
        imp.stack.connect_visible_child_notify(move |_| update());
        imp.grid.connect_activate(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |place| {
                let list = this.imp().gallery.get().map(Gallery::list);
                if let Some(id) = list.and_then(|list| list.id(place)) {
                    this.show_picture(id);
                }
            }
        ));
    }

    fn add_actions(&self) {
        let back = gio::ActionEntry::builder("back").activate(|this: &Self, _, _| this.back());
        let fullscreen = gio::ActionEntry::builder("fullscreen")
            .activate(|this: &Self, _, _| this.set_fullscreened(!this.is_fullscreen()));
        self.add_action_entries([back.build(), fullscreen.build()]);
    }

    fn measure(&self, gallery: &Gallery, measures: &Rc<Measures>) {
        let first = Rc::clone(measures);
        gallery.connect_thumbnail(move |gallery, id| {
            if gallery.with_thumbnail(id, |thumbnail| thumbnail.is_kept()) {
                first.thumbnail_shown();
            }
        });
        let measures = Rc::clone(measures);
        self.connect_realize(move |window| {
            let measures = Rc::clone(&measures);
            if let Some(clock) = window.frame_clock() {
                clock.connect_after_paint(move |_| measures.frame_painted());
            }
        });
    }

    fn show_picture(&self, id: u32) {
        let imp = self.imp();
        imp.picture.show(id);
        imp.stack.set_visible_child(&*imp.picture);
        imp.picture.grab_focus();
    }

    /// From the picture to its place in the grid.
    fn back(&self) {
        let imp = self.imp();
        if imp.stack.visible_child().is_none_or(|page| page != *imp.picture) {
            return;
        }
        imp.picture.clear();
        imp.stack.set_visible_child(&*imp.grid);
        imp.grid.grab_focus();
        let list = imp.gallery.get().map(Gallery::list);
        if let Some(place) = list.and_then(|list| list.position(imp.picture.id())) {
            imp.grid.select(place);
        }
    }

    /// Brings heading and progress up to date.
    fn update_title(&self) {
        let imp = self.imp();
        let Some(gallery) = imp.gallery.get() else { return };
        let total = gallery.total();
        let in_picture = imp.stack.visible_child().is_some_and(|page| page == *imp.picture);
        imp.back.set_visible(in_picture);
        let place = imp.place.borrow();
        let (heading, subheading) = match in_picture {
            true => (imp.picture.title(), place.clone()),
            false => (place.clone(), count(gallery)),
        };
        if imp.heading.label() != heading {
            self.set_title(Some(&heading));
            imp.heading.set_label(&heading);
        }
        // A label that is set is laid out anew, whatever it was before.
        if imp.subheading.label() != subheading {
            imp.subheading.set_label(&subheading);
        }
        imp.progress.set_visible(!in_picture && gallery.sweep() && gallery.tried() < total);
        imp.progress.set_fraction(f64::from(gallery.tried()) / f64::from(total.max(1)));
    }

    /// Says why there is nothing to see, if that is so.
    fn explain_emptiness(&self, gallery: &Gallery) {
        if gallery.total() == 0 && !gallery.listing() {
            let imp = self.imp();
            let message = imp.trouble.borrow().clone();
            imp.message.set_label(message.as_deref().unwrap_or("There are no pictures here"));
            imp.stack.set_visible_child(&*imp.empty);
        }
    }
}

/// How many pictures there are, for the heading.
fn count(gallery: &Gallery) -> String {
    let pictures = match gallery.total() {
        1 => "1 picture".to_owned(),
        total => format!("{total} pictures"),
    };
    match gallery.failed() {
        0 => pictures,
        failed => format!("{pictures}, {failed} cannot be shown"),
    }
}
