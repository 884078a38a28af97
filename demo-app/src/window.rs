//! The window.
//!
//! ```text
//! Window (AdwApplicationWindow)
//! └ AdwToastOverlay
//!   ├ AdwHeaderBar: back or up, name of the folder or picture, how many pictures, menu
//!   ├ GtkSearchBar: filter
//!   └ GtkOverlay
//!     ├ GtkStack
//!     │ ├ Grid
//!     │ ├ PictureView
//!     │ └ empty: why there is nothing to see
//!     └ progress: of making all thumbnails
//! ```

mod actions;
mod arranging;
mod elsewhere;
mod files;
mod fullscreen;
mod messages;
mod pages;
mod places;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk4::{gio, glib};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use crate::app::Shared;
use crate::gallery::{Gallery, Signals};
use crate::grid::Grid;
use crate::measures::Measures;
use crate::picture_view::PictureView;
use crate::texture;

pub use actions::set_accels;

mod imp {
    use super::*;

    #[derive(Default, gtk4::CompositeTemplate)]
    #[template(file = "window.ui")]
    pub struct Window {
        #[template_child]
        pub toasts: TemplateChild<adw::ToastOverlay>,
        #[template_child]
        pub header: TemplateChild<adw::HeaderBar>,
        #[template_child]
        pub heading: TemplateChild<adw::WindowTitle>,
        #[template_child]
        pub back: TemplateChild<gtk4::Button>,
        #[template_child]
        pub up: TemplateChild<gtk4::Button>,
        #[template_child]
        pub open: TemplateChild<gtk4::Button>,
        #[template_child]
        pub main_menu: TemplateChild<gtk4::MenuButton>,
        #[template_child]
        pub size: TemplateChild<gtk4::Scale>,
        #[template_child]
        pub side: TemplateChild<gtk4::Adjustment>,
        #[template_child]
        pub filter_button: TemplateChild<gtk4::ToggleButton>,
        #[template_child]
        pub picture_buttons: TemplateChild<gtk4::Box>,
        #[template_child]
        pub fullscreen: TemplateChild<gtk4::Button>,
        #[template_child]
        pub filter_bar: TemplateChild<gtk4::SearchBar>,
        #[template_child]
        pub filter: TemplateChild<gtk4::SearchEntry>,
        #[template_child]
        pub stack: TemplateChild<gtk4::Stack>,
        #[template_child]
        pub grid: TemplateChild<Grid>,
        #[template_child]
        pub picture: TemplateChild<PictureView>,
        #[template_child]
        pub empty: TemplateChild<adw::StatusPage>,
        #[template_child]
        pub elsewhere: TemplateChild<gtk4::Button>,
        #[template_child]
        pub progress: TemplateChild<gtk4::Box>,
        #[template_child]
        pub made: TemplateChild<gtk4::ProgressBar>,
        #[template_child]
        pub told: TemplateChild<gtk4::Label>,
        pub shared: OnceCell<Rc<Shared>>,
        pub measures: OnceCell<Rc<Measures>>,
        /// What is shown.
        pub gallery: RefCell<Option<Gallery>>,
        /// What is heard of it.
        pub signals: RefCell<Option<Signals>>,
        /// The folder that is shown, if it is one.
        pub folder: RefCell<Option<std::path::PathBuf>>,
        /// What is shown, in a word or two.
        pub place: RefCell<String>,
        /// What could not be listed, and why.
        pub trouble: RefCell<Option<String>>,
        /// How often a place was asked for.
        pub asked: Cell<u32>,
        /// To be selected when the folder is listed: where one comes from.
        pub came_from: RefCell<Option<std::path::PathBuf>>,
        /// Each offers to undo what was done, the last one last.
        pub undoable: RefCell<Vec<adw::Toast>>,
        pub messages: RefCell<super::messages::Messages>,
        /// The page about the workers, while it is shown.
        pub workers: glib::WeakRef<adw::PreferencesWindow>,
        /// It was made fullscreen for one picture, and is not in the grid.
        pub fullscreen_for_picture: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Window {
        const NAME: &'static str = "TineWindow";
        type Type = super::Window;
        type ParentType = adw::ApplicationWindow;

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
    impl WindowImpl for Window {
        fn close_request(&self) -> glib::Propagation {
            self.obj().remember();
            self.parent_close_request()
        }
    }
    impl ApplicationWindowImpl for Window {}
    impl AdwApplicationWindowImpl for Window {}
}

glib::wrapper! {
    /// The window.
    pub struct Window(ObjectSubclass<imp::Window>)
        @extends adw::ApplicationWindow, gtk4::ApplicationWindow, gtk4::Window, gtk4::Widget,
        @implements gio::ActionGroup, gio::ActionMap, gtk4::Buildable,
            gtk4::ConstraintTarget, gtk4::Native, gtk4::Root, gtk4::ShortcutManager;
}

impl Window {
    /// A window that shows nothing yet.
    pub fn new(app: &adw::Application, shared: &Rc<Shared>, measures: &Rc<Measures>) -> Self {
        let window: Self = glib::Object::builder().property("application", app).build();
        let imp = window.imp();
        // It was made a line above: nothing is set yet.
        let _unset = imp.shared.set(Rc::clone(shared));
        let _unset = imp.measures.set(Rc::clone(measures));
        imp.picture.set_template(&shared.template);
        window.recall();
        window.follow_pages();
        window.follow_filter();
        window.follow_drops();
        window.follow_fullscreen();
        window.add_actions();
        window.measure(measures);
        window
    }

    /// What is shown.
    pub fn gallery(&self) -> Option<Gallery> {
        self.imp().gallery.borrow().clone()
    }

    fn shared(&self) -> &Rc<Shared> {
        self.imp().shared.get().expect("a window is made by `new`")
    }

    fn measures(&self) -> &Rc<Measures> {
        self.imp().measures.get().expect("a window is made by `new`")
    }

    fn measure(&self, measures: &Rc<Measures>) {
        let measures = Rc::clone(measures);
        self.connect_realize(move |window| {
            window.renderer().inspect(texture::set_renderer);
            let clock = window.frame_clock();
            let (measures, window) = (Rc::clone(&measures), window.downgrade());
            let painted = move || {
                measures.frame_painted();
                let in_picture =
                    |window: &Self| window.in_picture() && window.imp().picture.is_settled();
                if window.upgrade().is_some_and(|window| in_picture(&window)) {
                    measures.picture_painted();
                }
            };
            if let Some(clock) = clock {
                clock.connect_after_paint(move |_| painted());
            }
        });
    }

    /// Takes over what was remembered.
    fn recall(&self) {
        let (imp, shared) = (self.imp(), self.shared());
        let settings = shared.settings.borrow();
        let (width, height) = shared.options.size.unwrap_or(settings.window);
        self.set_default_size(width, height);
        self.set_maximized(settings.maximized && shared.options.size.is_none());
        imp.side.set_value(settings.side.into());
        imp.grid.set_side(settings.side);
    }

    /// Remembers how things are now. Fullscreen is for the moment.
    fn remember(&self) {
        let shared = self.shared();
        let mut settings = shared.settings.borrow_mut();
        settings.maximized = self.is_maximized();
        settings.side = self.imp().grid.side();
        if !self.is_maximized() && !self.is_fullscreen() {
            settings.window = self.default_size();
        }
        if !shared.options.is_script()
            && let Err(error) = settings.save()
        {
            eprintln!("tine-viewer: settings are not kept: {error}");
        }
    }
}
