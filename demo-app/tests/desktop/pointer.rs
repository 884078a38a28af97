//! A person's mouse on Wayland: a virtual pointer of wlroots, which the compositor takes for a real one.

use std::os::unix::net::UnixStream;
use std::path::Path;

use wayland_client::globals::{GlobalListContents, registry_queue_init};
use wayland_client::protocol::{wl_pointer, wl_registry};
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, delegate_noop};
use wayland_protocols_wlr::virtual_pointer::v1::client::{
    zwlr_virtual_pointer_manager_v1::ZwlrVirtualPointerManagerV1 as Maker,
    zwlr_virtual_pointer_v1::ZwlrVirtualPointerV1 as Device,
};

/// The left button, as the kernel numbers it.
const LEFT: u32 = 0x110;
/// How far a wheel scrolls with one click of it.
const NOTCH: f64 = 15.0;
/// Points on the way of what is dragged.
const STEPS: u32 = 10;

/// A mouse that is there as long as this is.
pub struct Pointer {
    queue: EventQueue<Nothing>,
    device: Device,
    /// Width and height of the screen.
    screen: (u32, u32),
    /// Its own clock, in milliseconds: a busy machine makes two clicks no slower.
    now: u32,
}

/// No events are of interest.
struct Nothing;

impl Dispatch<wl_registry::WlRegistry, GlobalListContents> for Nothing {
    fn event(
        _: &mut Self,
        _: &wl_registry::WlRegistry,
        _: wl_registry::Event,
        _: &GlobalListContents,
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
    }
}

delegate_noop!(Nothing: Maker);
delegate_noop!(Nothing: Device);

impl Pointer {
    /// Plugs one in.
    pub fn new(socket: &Path, screen: (u32, u32)) -> Self {
        let stream = UnixStream::connect(socket).expect("the compositor listens");
        let connection = Connection::from_socket(stream).expect("the compositor speaks Wayland");
        let (globals, queue) = registry_queue_init(&connection).expect("the compositor answers");
        let maker: Maker = globals.bind(&queue.handle(), 1..=2, ()).expect("it takes pointers");
        let device = maker.create_virtual_pointer(None, &queue.handle(), ());
        let mut this = Self { queue, device, screen, now: 0 };
        // In a corner, where it covers nothing and nothing is told of what it points at.
        this.go((screen.0 - 1, screen.1 - 1));
        this
    }

    /// Clicks so many times in a row.
    pub fn click(&mut self, at: (u32, u32), times: u32) {
        self.go(at);
        for _ in 0..times {
            self.hold(true);
            self.hold(false);
        }
    }

    /// Turns the wheel towards the hand, or away from it if this is negative.
    pub fn scroll(&mut self, at: (u32, u32), notches: i32) {
        self.go(at);
        for _ in 0..notches.abs() {
            let (now, step) = (self.tick(), notches.signum());
            self.device.axis_source(wl_pointer::AxisSource::Wheel);
            let length = NOTCH * f64::from(step);
            self.device.axis_discrete(now, wl_pointer::Axis::VerticalScroll, length, step);
            self.arrive();
        }
    }

    /// Drags from one point to another, and holds it there.
    pub fn take_to(&mut self, from: (u32, u32), to: (u32, u32)) {
        self.go(from);
        self.hold(true);
        let part = |from: u32, to: u32, step| (from * (STEPS - step) + to * step) / STEPS;
        for step in 1..=STEPS {
            self.go((part(from.0, to.0, step), part(from.1, to.1, step)));
        }
    }

    /// Lets go of what is being dragged.
    pub fn let_go(&mut self) {
        self.hold(false);
    }

    fn go(&mut self, at: (u32, u32)) {
        let now = self.tick();
        self.device.motion_absolute(now, at.0, at.1, self.screen.0, self.screen.1);
        self.arrive();
    }

    fn hold(&mut self, is_down: bool) {
        let now = self.tick();
        let state = match is_down {
            true => wl_pointer::ButtonState::Pressed,
            false => wl_pointer::ButtonState::Released,
        };
        self.device.button(now, LEFT, state);
        self.arrive();
    }

    fn tick(&mut self) -> u32 {
        self.now += 20;
        self.now
    }

    /// One event is complete, and the compositor has seen it.
    fn arrive(&mut self) {
        self.device.frame();
        self.queue.roundtrip(&mut Nothing).expect("the compositor answers");
    }
}

impl Drop for Pointer {
    fn drop(&mut self) {
        self.device.destroy();
        // A compositor that has ended has none.
        let _gone = self.queue.flush();
    }
}
