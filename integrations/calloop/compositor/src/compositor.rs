//! The loop's data: windows and frames, and what is heard of the processes that the template makes.

use std::error::Error;
use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use calloop::{EventLoop, LoopHandle, LoopSignal};
use smithay::desktop::{PopupManager, Space, Window};
use smithay::input::{Seat, SeatState};
use smithay::reexports::wayland_server::DisplayHandle;
use smithay::utils::{Logical, Size};
use smithay::wayland::compositor::CompositorState;
use smithay::wayland::output::OutputManagerState;
use smithay::wayland::selection::data_device::DataDeviceState;
use smithay::wayland::shell::xdg::XdgShellState;
use smithay::wayland::shm::ShmState;
use tine::{Exit, Running, Shared, Template};

use crate::options::Options;
use crate::protocols::ClientState;
use crate::screen::Screen;
use crate::{client, screenshot, tell, wallpaper};

/// From the beginning of one frame to that of the next, at least.
pub const FRAME: Duration = Duration::from_micros(16_667);
/// How far each window is from the one before, right and down.
pub const CASCADE: i32 = 32;
/// The exit code when the client cannot be started, as in shells.
const NOT_STARTED: u8 = 127;

/// What callbacks of tine's queue have to say to the loop's data.
#[derive(Debug)]
pub enum Heard {
    /// What came of the wallpaper.
    Wallpaper(Result<Shared, String>),
    /// What came of the screenshot that was being written.
    Screenshot(Result<(), String>),
    /// The client that was to be started is executed, or cannot be.
    ClientStarted(Result<(), String>),
    /// The client that was started has ended.
    ClientEnded(Exit),
    /// SIGUSR1 has come.
    TakeScreenshot,
    /// SIGTERM or SIGINT has come.
    End,
}

/// What is advertised to clients.
pub struct Protocols {
    pub compositor: CompositorState,
    pub shell: XdgShellState,
    pub shm: ShmState,
    pub seats: SeatState<Compositor>,
    pub data_device: DataDeviceState,
    _output: OutputManagerState,
    /// Without devices: clients of toolkits want one, and there is nobody to use it.
    _seat: Seat<Compositor>,
}

/// The file that screenshots go to, and what is under way.
struct Screenshots {
    path: PathBuf,
    writing: bool,
    /// Another was asked for since.
    again: bool,
}

/// The loop's data.
pub struct Compositor {
    pub protocols: Protocols,
    /// Windows that have not shown anything yet.
    pub unmapped: Vec<Window>,
    pub popups: PopupManager,
    pub windows: Space<Window>,
    pub screen: Screen,
    /// When the last frame began.
    pub drawn: Instant,
    pub frame_wanted: bool,
    pub begun: Instant,

    display: DisplayHandle,
    pub event_loop: LoopHandle<'static, Compositor>,
    stop: LoopSignal,
    ending: bool,
    exit_code: u8,

    template: Template,
    client: Option<Running>,
    heard: Receiver<Heard>,
    /// Goes into callbacks of tine's queue, which know nothing of the loop's data.
    sender: Sender<Heard>,
    screenshots: Option<Screenshots>,
}

impl Protocols {
    fn new(display: &DisplayHandle, screen: &Screen) -> Self {
        let mut seats = SeatState::new();
        screen.output.create_global::<Compositor>(display);
        Protocols {
            compositor: CompositorState::new::<Compositor>(display),
            shell: XdgShellState::new::<Compositor>(display),
            shm: ShmState::new::<Compositor>(display, []),
            data_device: DataDeviceState::new::<Compositor>(display),
            _output: OutputManagerState::new_with_xdg_output::<Compositor>(display),
            _seat: seats.new_wl_seat(display, "headless"),
            seats,
        }
    }
}

impl Compositor {
    /// Makes it, and has the wallpaper decoded.
    pub fn new(
        display: &DisplayHandle,
        event_loop: &EventLoop<'static, Compositor>,
        template: Template,
        options: &Options,
        heard: Receiver<Heard>,
        sender: Sender<Heard>,
    ) -> Result<Self, Box<dyn Error>> {
        let screen = Screen::new(options.size)?;
        let protocols = Protocols::new(display, &screen);
        let mut windows = Space::default();
        windows.map_output(&screen.output, (0, 0));
        if let Some(path) = &options.wallpaper {
            wallpaper::load(&template, path, options.size, &sender)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let now = Instant::now();
        let screenshots = options.screenshot.clone();
        Ok(Compositor {
            protocols,
            unmapped: Vec::new(),
            popups: PopupManager::default(),
            windows,
            screen,
            drawn: now,
            frame_wanted: false,
            begun: now,
            display: display.clone(),
            event_loop: event_loop.handle(),
            stop: event_loop.get_signal(),
            ending: false,
            exit_code: 0,
            template,
            client: None,
            heard,
            sender,
            screenshots: screenshots.map(|path| Screenshots { path, writing: false, again: false }),
        })
    }

    /// Width and height of the screen.
    pub fn size(&self) -> Size<i32, Logical> {
        self.windows.output_geometry(&self.screen.output).map(|area| area.size).unwrap_or_default()
    }

    /// Makes a client of who is at the other end of this socket.
    pub fn let_in(&mut self, socket: UnixStream) {
        if let Err(error) = self.display.insert_client(socket, Arc::new(ClientState::default())) {
            tell(&format!("a client was not let in: {error}"));
        }
    }

    /// Starts a client, which ends the compositor when it ends.
    pub fn start(&mut self, program: &OsString, args: &[OsString], name: &str) -> tine::Result<()> {
        let (socket, client) = client::start(&self.template, program, args, name, &self.sender)?;
        self.let_in(socket);
        self.client = Some(client);
        Ok(())
    }

    /// The client's, if one was started: 128 and the signal's number when it was killed, as in shells.
    pub fn exit_code(&self) -> ExitCode {
        self.exit_code.into()
    }

    /// After each turn of tine's queue: what its callbacks sent.
    pub fn take_in(&mut self) {
        while let Ok(heard) = self.heard.try_recv() {
            match heard {
                Heard::Wallpaper(pixels) => self.show_wallpaper(pixels),
                Heard::Screenshot(written) => self.screenshot_done(written),
                Heard::ClientStarted(started) => self.client_started(started),
                Heard::ClientEnded(exit) => self.client_ended(&exit),
                Heard::TakeScreenshot => self.take_screenshot(),
                Heard::End => {
                    self.take_screenshot();
                    self.end();
                }
            }
        }
    }

    fn client_started(&mut self, started: Result<(), String>) {
        match started {
            Ok(()) => {
                let pid = self.client.as_ref().and_then(Running::pid).unwrap_or_default();
                tell(&format!("client {pid}"));
            }
            Err(error) => {
                tell(&format!("no client: {error}"));
                self.client = None;
                self.exit_code = NOT_STARTED;
                self.end();
            }
        }
    }

    /// The process that could not become the client ends too, and is none.
    fn client_ended(&mut self, exit: &Exit) {
        if self.client.take().is_some() {
            tell(&format!("client: {exit}"));
            self.exit_code = code_of(exit);
            self.end();
        }
    }

    fn show_wallpaper(&mut self, pixels: Result<Shared, String>) {
        let shown =
            pixels.map_err(Into::into).and_then(|pixels| self.screen.set_wallpaper(&pixels));
        match shown {
            Ok(()) => tell("wallpaper shown"),
            Err(error) => tell(&format!("no wallpaper: {error}")),
        }
        self.want_frame();
    }

    /// Ends the loop, as soon as no screenshot is being written any more.
    fn end(&mut self) {
        self.ending = true;
        if !self.screenshots.as_ref().is_some_and(|screenshots| screenshots.writing) {
            self.stop.stop();
        }
    }

    fn take_screenshot(&mut self) {
        self.draw();
        let Some(screenshots) = &mut self.screenshots else { return };
        if screenshots.writing {
            screenshots.again = true;
            return;
        }
        let (path, width) = (&screenshots.path, self.screen.width());
        let written = self.screen.pixels().and_then(|pixels| {
            Ok(screenshot::write(&self.template, pixels, width, path, &self.sender)?)
        });
        match written {
            Ok(()) => screenshots.writing = true,
            Err(error) => tell(&format!("no screenshot: {error}")),
        }
    }

    fn screenshot_done(&mut self, written: Result<(), String>) {
        let Some(screenshots) = &mut self.screenshots else { return };
        screenshots.writing = false;
        match written {
            Ok(()) => tell(&format!("screenshot {}", screenshots.path.display())),
            Err(error) => tell(&format!("no screenshot: {error}")),
        }
        if std::mem::take(&mut screenshots.again) {
            self.take_screenshot();
        }
        if self.ending {
            self.end();
        }
    }
}

fn code_of(exit: &Exit) -> u8 {
    let code = exit.code().or_else(|| exit.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
