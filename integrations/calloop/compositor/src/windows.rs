//! The life of a window, from its first commit to its last, and the frames that show it.

use std::time::Instant;

use calloop::timer::{TimeoutAction, Timer};
use smithay::backend::renderer::utils::with_renderer_surface_state;
use smithay::desktop::{PopupKind, Window};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::with_states;
use smithay::wayland::shell::xdg::{ToplevelSurface, XdgToplevelSurfaceData};

use crate::compositor::{CASCADE, Compositor, FRAME};
use crate::tell;

impl Compositor {
    /// A commit to a surface without a parent: it may be a window's first, or that of its first picture.
    pub fn window_committed(&mut self, surface: &WlSurface) {
        if let Some(window) = self.mapped(surface) {
            window.on_commit();
            if !has_picture(surface) {
                self.windows.unmap_elem(&window);
                self.unmapped.push(window);
            }
            return;
        }
        let Some(place) = self.unmapped.iter().position(|window| shows(window, surface)) else {
            return;
        };
        if has_picture(surface) {
            let window = self.unmapped.remove(place);
            window.on_commit();
            self.map(window);
        } else if let Some(toplevel) = self.unmapped[place].toplevel()
            && !toplevel.is_initial_configure_sent()
        {
            toplevel.send_configure();
        }
    }

    /// Shows a window in the middle of the screen, above and beside those before it.
    fn map(&mut self, window: Window) {
        let (screen, size) = (self.size(), window.geometry().size);
        let step = CASCADE * self.windows.elements().count() as i32;
        let place = |screen: i32, side: i32| ((screen - side) / 2 + step).max(0);
        tell(&format!("window {}x{}: {}", size.w, size.h, title(&window)));
        let place = (place(screen.w, size.w), place(screen.h, size.h));
        self.windows.map_element(window, place, true);
    }

    /// Its client destroyed it, or is gone.
    pub fn window_gone(&mut self, toplevel: &ToplevelSurface) {
        let surface = toplevel.wl_surface();
        self.unmapped.retain(|window| !shows(window, surface));
        if let Some(window) = self.mapped(surface) {
            tell(&format!("window gone: {}", title(&window)));
            self.windows.unmap_elem(&window);
        }
    }

    fn mapped(&self, surface: &WlSurface) -> Option<Window> {
        self.windows.elements().find(|window| shows(window, surface)).cloned()
    }

    /// A popup shows nothing before it was told its size once.
    pub fn configure_popup(&mut self, surface: &WlSurface) {
        if let Some(PopupKind::Xdg(popup)) = self.popups.find_popup(surface)
            && !popup.is_initial_configure_sent()
        {
            // Refused when it was configured before, which it was not.
            let _first = popup.send_configure();
        }
    }

    /// Has a frame drawn when the last one is old enough.
    pub fn want_frame(&mut self) {
        if self.frame_wanted {
            return;
        }
        let timer = Timer::from_deadline((self.drawn + FRAME).max(Instant::now()));
        let inserted = self.event_loop.insert_source(timer, |_, (), compositor| {
            compositor.frame_wanted = false;
            compositor.draw();
            TimeoutAction::Drop
        });
        self.frame_wanted = inserted.is_ok();
    }

    /// Draws a frame, and lets the clients draw their next.
    pub fn draw(&mut self) {
        self.drawn = Instant::now();
        self.windows.refresh();
        self.popups.cleanup();
        if let Err(error) = self.screen.draw(&self.windows) {
            tell(&format!("a frame was not drawn: {error}"));
        }
        let output = &self.screen.output;
        for window in self.windows.elements() {
            window.send_frame(output, self.begun.elapsed(), None, |_, _| Some(output.clone()));
        }
    }
}

fn shows(window: &Window, surface: &WlSurface) -> bool {
    window.toplevel().is_some_and(|toplevel| toplevel.wl_surface() == surface)
}

fn has_picture(surface: &WlSurface) -> bool {
    with_renderer_surface_state(surface, |state| state.buffer().is_some()).unwrap_or(false)
}

fn title(window: &Window) -> String {
    let Some(toplevel) = window.toplevel() else { return String::new() };
    with_states(toplevel.wl_surface(), |states| {
        let data = states.data_map.get::<XdgToplevelSurfaceData>();
        data.and_then(|data| data.lock().ok()?.title.clone()).unwrap_or_default()
    })
}
