//! What can be done in the window, by menus, buttons and keys.

use super::*;
use crate::about;
use crate::arrange::Sort;
use crate::settings::{Settings, Style};
use gtk4::gdk;

/// An action without a parameter: its name, what it does, and its keys wherever the keyboard is.
type Action = (&'static str, fn(&Window), &'static [&'static str]);

const ACTIONS: [Action; 23] = [
    ("back", Window::back, &["<Alt>Left"]),
    ("escape", Window::escape, &[]),
    ("up", Window::up, &["<Alt>Up"]),
    ("fullscreen", Window::toggle_fullscreen, &["F11"]),
    ("slideshow", Window::toggle_slideshow, &["F5"]),
    ("open-folder", |this| this.ask_for(gtk4::FileChooserAction::SelectFolder), &["<Control>o"]),
    ("open-file", |this| this.ask_for(gtk4::FileChooserAction::Open), &["<Control><Shift>o"]),
    ("filter", Window::toggle_filter, &["<Control>f"]),
    ("select-all", Window::select_all, &[]),
    ("copy", Window::copy, &[]),
    ("trash", Window::trash, &[]),
    ("undo", Window::undo_last, &[]),
    ("open-with", Window::open_with, &[]),
    ("show-in-files", Window::show_in_files, &[]),
    ("properties", Window::show_properties, &["<Alt>Return"]),
    ("rotate-right", |this| this.imp().picture.turn(1), &["<Control>r"]),
    ("rotate-left", |this| this.imp().picture.turn(3), &["<Control><Shift>r"]),
    ("larger", |this| this.resize_tiles(Some(1)), &[]),
    ("smaller", |this| this.resize_tiles(Some(-1)), &[]),
    ("usual-size", |this| this.resize_tiles(None), &[]),
    ("make-all", |this| this.make_all(true), &[]),
    ("stop", |this| this.make_all(false), &[]),
    ("workers", Window::show_workers, &["<Control><Shift>w"]),
];

/// Actions whose keys are those of what has the keyboard, if it knows them: an entry, or a picture.
const SHARED_KEYS: [(&str, &str); 7] = [
    ("win.select-all", "<Control>a"),
    ("win.copy", "<Control>c"),
    ("win.trash", "Delete|KP_Delete"),
    ("win.undo", "<Control>z"),
    ("win.larger", "<Control>plus|<Control>equal|<Control>KP_Add"),
    ("win.smaller", "<Control>minus|<Control>KP_Subtract"),
    ("win.usual-size", "<Control>0|<Control>KP_0"),
];
/// Those that are about thumbnails.
const ABOUT_TILES: [&str; 5] = ["filter", "select-all", "larger", "smaller", "usual-size"];

/// Those that are about what is chosen: a picture, or what is selected.
const ABOUT_FILES: [&str; 5] = ["copy", "trash", "open-with", "show-in-files", "properties"];
/// Those that are about one picture in view.
const ABOUT_PICTURE: [&str; 3] = ["back", "rotate-right", "rotate-left"];

/// Sets the keys, for all windows.
pub fn set_accels(app: &adw::Application) {
    for (name, _, keys) in ACTIONS {
        app.set_accels_for_action(&format!("win.{name}"), keys);
    }
    app.set_accels_for_action("window.close", &["<Control>w", "<Control>q"]);
    app.set_accels_for_action("win.show-help-overlay", &["<Control>question", "F1"]);
}

impl Window {
    pub(super) fn add_actions(&self) {
        for (name, act, _) in ACTIONS {
            let entry =
                gio::ActionEntry::builder(name).activate(move |this: &Self, _, _| act(this));
            self.add_action_entries([entry.build()]);
        }
        self.add_choices();
        self.add_shared_keys();
        let about =
            gio::ActionEntry::builder("about").activate(|this: &Self, _, _| about::show(this));
        self.add_action_entries([about.build()]);
        self.set_help_overlay(Some(&about::shortcuts()));
        self.follow_selection();
        self.follow_side();
    }

    /// An application's keys come first. These come when nobody else has a use for them.
    fn add_shared_keys(&self) {
        let keys = gtk4::ShortcutController::new();
        for (action, key) in SHARED_KEYS {
            let trigger = gtk4::ShortcutTrigger::parse_string(key);
            let action = gtk4::NamedAction::new(action);
            keys.add_shortcut(gtk4::Shortcut::new(trigger, Some(action)));
        }
        self.add_controller(keys);
    }

    /// Actions with a state: order and style.
    fn add_choices(&self) {
        let settings = self.shared().settings.borrow();
        let sort = gio::ActionEntry::builder("sort")
            .parameter_type(Some(glib::VariantTy::STRING))
            .state(settings.sort.word().to_variant())
            .activate(|this: &Self, action, word| {
                if let Some(sort) = word.and_then(|word| Sort::from_word(word.str()?)) {
                    action.set_state(&sort.word().to_variant());
                    this.set_sort(sort);
                }
            });
        let reversed = gio::ActionEntry::builder("reversed")
            .state(settings.reversed.to_variant())
            .activate(|this: &Self, action, _| {
                let reversed = !action.state().and_then(|state| state.get()).unwrap_or(false);
                action.set_state(&reversed.to_variant());
                this.set_reversed(reversed);
            });
        let style = gio::ActionEntry::builder("style")
            .parameter_type(Some(glib::VariantTy::STRING))
            .state(settings.style.word().to_variant())
            .activate(|this: &Self, action, word| {
                if let Some(style) = word.and_then(|word| Style::from_word(word.str()?)) {
                    action.set_state(&style.word().to_variant());
                    this.shared().settings.borrow_mut().style = style;
                    crate::app::set_style(style);
                }
            });
        self.add_action_entries([sort.build(), reversed.build(), style.build()]);
    }

    /// Enables what can be done here.
    pub(super) fn update_actions(&self) {
        let imp = self.imp();
        let in_picture = self.in_picture();
        let selected = || imp.grid.selection().is_some_and(|selection| selection.has_some());
        let chosen = in_picture || selected();
        let has_parent =
            imp.folder.borrow().as_ref().is_some_and(|folder| folder.parent().is_some());
        let enable = |name: &str, enabled: bool| {
            if let Some(action) = self.lookup_action(name).and_downcast::<gio::SimpleAction>() {
                action.set_enabled(enabled);
            }
        };
        ABOUT_FILES.iter().for_each(|name| enable(name, chosen));
        ABOUT_PICTURE.iter().for_each(|name| enable(name, in_picture));
        enable("up", has_parent && !in_picture);
        ABOUT_TILES.iter().for_each(|name| enable(name, !in_picture));
    }

    /// Keeps what can be done with the selection up to date.
    fn follow_selection(&self) {
        let view = self.imp().grid.view();
        let follow = glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |view: &gtk4::GridView| {
                if let Some(model) = view.model() {
                    let this = this.downgrade();
                    model.connect_selection_changed(move |_, _, _| {
                        this.upgrade().inspect(Self::update_actions);
                    });
                }
                this.update_actions();
            }
        );
        follow(&view);
        view.connect_model_notify(follow);
    }

    fn follow_side(&self) {
        self.imp().side.connect_value_changed(glib::clone!(
            #[weak(rename_to = this)]
            self,
            move |side| this.imp().grid.set_side(side.value() as i32 / 32 * 32)
        ));
        // In a menu these lead on; a slider would take them, too.
        let keys = gtk4::EventControllerKey::new();
        keys.connect_key_pressed(|keys, key, _, _| {
            let direction = match key {
                gdk::Key::Down | gdk::Key::KP_Down => gtk4::DirectionType::TabForward,
                gdk::Key::Up | gdk::Key::KP_Up => gtk4::DirectionType::TabBackward,
                _ => return glib::Propagation::Proceed,
            };
            let menu = keys.widget().and_then(|size| size.ancestor(gtk4::Popover::static_type()));
            if let Some(menu) = menu {
                menu.child_focus(direction);
            }
            glib::Propagation::Stop
        });
        keys.set_propagation_phase(gtk4::PropagationPhase::Capture);
        self.imp().size.add_controller(keys);
    }

    /// Makes thumbnails larger or smaller by so many steps, or as they are at first.
    fn resize_tiles(&self, steps: Option<i32>) {
        let side = &self.imp().side;
        side.set_value(match steps {
            Some(steps) => side.value() + f64::from(steps) * side.step_increment(),
            None => Settings::default().side.into(),
        });
    }

    fn toggle_filter(&self) {
        let bar = &self.imp().filter_bar;
        bar.set_search_mode(!bar.is_search_mode());
    }

    fn select_all(&self) {
        if let Some(selection) = self.imp().grid.selection() {
            selection.select_all();
        }
    }

    fn make_all(&self, all: bool) {
        if let Some(gallery) = self.gallery() {
            gallery.set_sweep(all);
            self.update_title();
        }
    }

    fn show_workers(&self) {
        let workers = &self.imp().workers;
        match workers.upgrade() {
            Some(shown) => shown.present(),
            None => {
                let shown = crate::workers_window::show(self, &self.shared().template);
                workers.set(Some(&shown));
            }
        }
    }

    fn show_properties(&self) {
        let (Some(gallery), chosen) = (self.gallery(), self.chosen()) else { return };
        let first = chosen.iter().next();
        match (chosen.len(), first) {
            (1, Some(id)) => {
                let template = &self.shared().template;
                crate::properties::show(self, template, &gallery.path(id), gallery.kind(id));
            }
            (_, Some(_)) => crate::properties::show_several(self, gallery.catalog(), chosen),
            (_, None) => (),
        }
    }
}
