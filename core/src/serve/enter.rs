//! Flow 2: the first and the last moments of a fresh process.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};

use super::items::Items;
use super::limit::Limit;
use super::orders::{Orders, Stopped, Then};
use super::spare::Request;
use super::stderr::Voice;
use super::worker::Worker;
use super::{output, prepare, spare};
use crate::fault::{self, Stage};
use crate::wire::{How, LastWords, Message, USUAL, Waiting, socket};
use crate::{Error, Result, sys};

/// What a fresh process starts with. What is borrowed is the template's; the process has a copy under that number.
pub(super) struct Birth<'a> {
    /// Its own socket.
    pub socket: OwnedFd,
    /// Its standard error, unless that is descriptor 2 already.
    pub voice: Option<(BorrowedFd<'a>, Voice)>,
    /// What of its orders lies in the socket already.
    pub waiting: Waiting,
    /// Where it says that it exists, unless its template does.
    pub caller: Option<Caller<'a>>,
    /// The socket is where its own will come from, when it is needed.
    pub spare: bool,
    /// What it inherits.
    pub items: Items,
    /// The template: when that dies, so does this process.
    pub parent: Pid,
    /// How many descriptors it may have open.
    pub limit: Limit,
}

/// Who has asked for a process: a link of the app's, and the name of the process there.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub link: BorrowedFd<'a>,
    pub id: u64,
}

impl Caller<'_> {
    /// Says that this process exists, and has what was there of its orders.
    ///
    /// It comes from the process itself, and not sooner: the app is woken once for this and for what the process
    /// does first, and neither has had to wait for the template.
    #[inline(always)]
    pub fn tell(self, spare: bool) {
        // Without a pidfd, the process can be signalled by its template only.
        let (pid, mut pidfd) = sys::message::itself();
        loop {
            let started = Message::started(pid, spare, self.id, pidfd.is_some().into());
            match sys::message::send(self.link, &started, pidfd.as_ref().map(AsFd::as_fd)) {
                Err(Errno::AGAIN) => self.wait(),
                // Too many descriptors are under way for this user (unix(7)).
                Err(_) if pidfd.is_some() => pidfd = None,
                // Else the app is gone, and the template, and so this process, will be.
                _ => return,
            }
        }
    }

    /// Waits for room: the app has not heard of hundreds of others.
    #[cold]
    fn wait(self) {
        let mut full = [PollFd::new(&self.link, PollFlags::OUT)];
        // What went wrong, if something did, the next try meets.
        let _ = rustix::event::poll(&mut full, None);
    }
}

/// Runs a fresh process from its first moment to its last.
///
/// What most processes do is one function with those of its parts that are worth it: each 64 KiB of code that
/// a process enters, and each page that it writes to, costs it a page fault.
#[inline(always)]
pub(super) fn enter(birth: Birth<'_>) -> ! {
    clean(&birth).unwrap_or_else(|error| leave_unclean(&birth, &error));
    have_voice(birth.voice.map(|(_, voice)| voice).or_else(Voice::new));
    if birth.spare {
        enter_later(birth);
    }
    let Birth { socket, waiting, caller, items, limit, .. } = birth;
    enter_now(socket, waiting, caller, items, limit, false)
}

/// Says why this process cannot be as it should.
#[cold]
fn leave_unclean(birth: &Birth<'_>, error: &Error) -> ! {
    let (how, text) = (How::BadOrders, error.to_string());
    let words = LastWords::encode(how, text.as_bytes());
    let _ = match birth.voice {
        Some((stderr, _)) => rustix::io::write(stderr, &words),
        None => rustix::io::write(rustix::stdio::stderr(), &words),
    };
    sys::exit_now(how.code())
}

/// The same, when its standard error is its own.
#[cold]
fn leave_unkept(error: &Error) -> ! {
    leave(How::BadOrders, format!("cannot sort its descriptors: {error}").as_bytes())
}

/// Waits for its request first.
#[cold]
fn enter_later(birth: Birth<'_>) -> ! {
    let Birth { socket, mut items, limit, .. } = birth;
    let handoff = keep(socket, &mut items).unwrap_or_else(|_| sys::exit_now(1));
    spare::rehearse();
    sys::title::show(*b"spare", b"");
    match spare::await_request(&handoff) {
        Ok(Some(Request { socket, link, id, waiting })) => {
            let caller = link.as_ref().map(|link| Caller { link: link.as_fd(), id });
            enter_now(socket, waiting, caller, items, limit, true)
        }
        _ => sys::exit_now(0),
    }
}

#[inline(always)]
fn enter_now(
    socket: OwnedFd,
    waiting: Waiting,
    caller: Option<Caller<'_>>,
    mut items: Items,
    limit: Limit,
    spare: bool,
) -> ! {
    if rustix::io::ioctl_fionbio(&socket, false).is_err() {
        sys::exit_now(1);
    }
    fault::process_at(Stage::Born);
    let mut octets = [0; USUAL];
    let read = read_plain(&socket, waiting, &mut octets).unwrap_or(0);
    let (how, text) = if let Some(entry) = Message::plain_run(&octets[..read]) {
        if let Some(caller) = caller {
            caller.tell(spare);
        }
        let socket = keep(socket, &mut items).unwrap_or_else(|error| leave_unkept(&error));
        limit.restore();
        run(entry, Worker::new(socket.into(), items))
    } else {
        obey(Orders::new(socket, waiting, items).begin(&octets[..read]), caller, limit, spare)
    };
    leave(how, &text)
}

/// Follows orders that are more than a name.
#[cold]
fn obey(
    mut orders: Orders,
    caller: Option<Caller<'_>>,
    limit: Limit,
    spare: bool,
) -> (How, Vec<u8>) {
    orders.read_ahead();
    if let Some(caller) = caller {
        caller.tell(spare);
    }
    follow(orders.keep(limit).unwrap_or_else(|error| leave_unkept(&error)))
}

/// Reads orders if they are few, and no descriptors are lost by it.
#[inline(always)]
fn read_plain(socket: &OwnedFd, waiting: Waiting, octets: &mut [u8; USUAL]) -> Result<usize> {
    match octets.get_mut(..waiting.octets as usize) {
        Some(octets) if waiting.plain => Ok(rustix::io::read(socket, octets)?),
        _ => Ok(0),
    }
}

#[cold]
fn follow(mut orders: Orders) -> (How, Vec<u8>) {
    match orders.follow() {
        Ok(Then::Run(name)) => {
            let (socket, items) = orders.into_parts();
            run(&name, Worker::new(socket.into(), items))
        }
        Ok(Then::Serve(link)) => serve_link(link, orders.into_parts().1),
        Ok(Then::Execute(execution)) => {
            let text = execution.execute(orders.into_parts().0);
            (How::BadOrders, text.into_bytes())
        }
        Ok(Then::Leave) => (How::Dropped, Vec::new()),
        Err(Stopped { how, text }) => {
            orders.refuse_link(&text);
            (how, text.into_bytes())
        }
    }
}

#[inline(always)]
fn leave(how: How, text: &[u8]) -> ! {
    say(how, text);
    // The usual one, without a look into a table.
    let code = if how == How::Returned { 0 } else { how.code() };
    output::exit_over_threads(code);
    // Taking down a large program's memory takes longer than all before it. Who has been woken by what this process
    // sent last, on the processor that it runs on, comes first.
    sys::give_way();
    sys::exit_now(code)
}

/// Runs a process whose orders come over standard input, at the far end of a command.
pub(super) fn enter_remote() -> ! {
    have_voice(Voice::of_far_end());
    let (how, text) = match remote_socket() {
        Ok(socket) => {
            // An app that is gone is seen when its orders are read.
            let _ = socket::send(&socket, &Message::Begin.encode(0, 0).0, &[]);
            follow(Orders::new(socket, Waiting::default(), Items::default()))
        }
        Err(error) => (How::BadOrders, error.to_string().into_bytes()),
    };
    leave(how, &text)
}

/// Makes standard input and output one socket, and them read and write nothing.
fn remote_socket() -> Result<OwnedFd> {
    sys::default_signals(true);
    sys::descriptors::fill_standard(2)?;
    let socket = sys::relay::one_socket()?;
    sys::descriptors::make_null(0)?;
    sys::descriptors::make_standard_of(2, 1)?;
    keep(socket, &mut Items::default())
}

#[inline(always)]
fn have_voice(voice: Option<Voice>) {
    VOICE.set(voice.map(|voice| (rustix::process::getpid(), voice)));
}

/// Says how this process ends. One that it has forked, and that comes back from the function too, says nothing: how the
/// worker ends is not known to it.
#[inline(always)]
fn say(how: How, text: &[u8]) {
    if let Some((own, voice)) = VOICE.take()
        && own == rustix::process::getpid()
    {
        voice.say(how, text);
    }
}

/// Rule 6 of the design, but for [`keep`]: signals, standard descriptors, and death with the parent.
#[inline(always)]
fn clean(birth: &Birth<'_>) -> Result<()> {
    sys::default_signals(false);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Error::system("die with the template (prctl)", error))?;
    if rustix::process::getppid() != Some(birth.parent) {
        // It died before the line above could tell.
        sys::exit_now(1);
    }
    match birth.voice {
        Some((stderr, _)) => sys::descriptors::make_standard(stderr, 2)
            .map_err(|error| Error::system("have a standard error of its own (dup3)", error)),
        // Executed: descriptor 0 is the socket still.
        None => sys::descriptors::make_null(0)
            .map_err(|error| Error::system("have a standard input of its own", error)),
    }
}

/// Closes everything but `first`, which becomes descriptor 3, and what was sent.
#[inline(always)]
fn keep(first: OwnedFd, items: &mut Items) -> Result<OwnedFd> {
    if items.is_empty() {
        return Ok(sys::descriptors::keep_one(first)?);
    }
    keep_too(first, items)
}

#[cold]
fn keep_too(first: OwnedFd, items: &mut Items) -> Result<OwnedFd> {
    let mut kept = None;
    items.replace_fds(|others| {
        let (first, others) = sys::descriptors::keep_only(first, others)?;
        kept = Some(first);
        Ok::<_, Error>(others)
    })?;
    kept.ok_or_else(|| Error::from(std::io::Error::from(std::io::ErrorKind::NotFound)))
}

/// Becomes a template whose processes inherit `items`. Comes back only when it cannot.
fn serve_link(link: OwnedFd, mut items: Items) -> (How, Vec<u8>) {
    sys::default_signals(true);
    // What was printed while it was prepared is its own, and no copy's.
    output::finish();
    match keep(link, &mut items) {
        Ok(link) => super::template::serve(link, items),
        Err(error) => (How::BadOrders, error.to_string().into_bytes()),
    }
}

#[inline(always)]
fn run(name: &[u8], worker: Worker) -> (How, Vec<u8>) {
    sys::title::show(*b"worker", name);
    fault::process_at(Stage::Entering);
    let end = prepare::enter(name, worker);
    output::finish();
    fault::process_at(Stage::Leaving);
    end
}

/// What a panic says that has something else than text to say.
const NO_TEXT: &str = "(not a string)";

/// A panic that was caught.
#[derive(Clone, Default)]
pub(crate) struct Panic {
    pub message: String,
    /// `file:line:column`, where it is known.
    pub place: String,
}

impl Panic {
    /// As they stand in last words: the place first, which a message that is too long must not push out.
    pub(super) fn words(&self) -> Vec<u8> {
        [self.place.as_bytes(), b"\0", self.message.as_bytes()].concat()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked at {}: {}", self.place, self.message)
    }
}

/// Calls code of the program's, and catches its panic.
#[inline(always)]
pub(crate) fn catch<T>(function: impl FnOnce() -> T) -> Result<T, Panic> {
    if NOTED.get() {
        forget_panic();
    }
    catch_unwind(AssertUnwindSafe(function)).map_err(|payload| {
        let text = text(&*payload);
        // A program that has put its own hook in place leaves the payload only; so does resume_unwind(),
        // and what is noted is then an older panic that was caught.
        let message = text.unwrap_or_else(|| NO_TEXT.into());
        let noted = PANIC.take().filter(|noted| noted.message == message);
        drop_quietly(payload);
        noted.unwrap_or(Panic { message, place: String::new() })
    })
}

/// Drops what a panic has brought, whose destructor is the program's, and may panic in its turn. That one is lost: what
/// it has brought stays.
fn drop_quietly(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(another);
    }
}

#[cold]
fn forget_panic() {
    PANIC.take();
    NOTED.set(false);
}

thread_local! {
    /// Set in a process's main thread, whose end is the process's; with whose voice it is.
    static VOICE: Cell<Option<(Pid, Voice)>> = const { Cell::new(None) };
    /// The last panic of this thread.
    static PANIC: RefCell<Option<Panic>> = const { RefCell::new(None) };
    /// That there is one. It has no destructor, so that a look at it calls no function.
    static NOTED: Cell<bool> = const { Cell::new(false) };
}

/// Does once, before the first process is forked, what each would otherwise do on pages of its own.
pub(super) fn make_ready() {
    note_panics();
    PANIC.take();
    output::make_ready();
    exit_at_once();
}

/// Has exit(3) leave before it calls a handler, or a thread-local destructor, that the program has registered by now.
pub(super) fn exit_at_once() {
    sys::destructors::forget();
    sys::on_exit(exited);
}

fn note_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        note(info);
        before(info);
    }));
}

fn note(info: &PanicHookInfo<'_>) {
    let panic = Panic {
        message: info.payload_as_str().unwrap_or(NO_TEXT).into(),
        place: info.location().map(ToString::to_string).unwrap_or_default(),
    };
    if ENDS.contains(&panic.message.as_str()) {
        // It says of another, which the hook has heard of just before, that it ends the process.
        let panic = PANIC.take().unwrap_or(panic);
        return say_in_any_thread(&panic);
    }
    if cfg!(panic = "abort") {
        // Nobody will catch it: these are the last words.
        say_in_any_thread(&panic);
    }
    PANIC.set(Some(panic));
    NOTED.set(true);
}

/// Says that this panic ends the process, be it another thread's than that whose end is the process's.
#[cold]
fn say_in_any_thread(panic: &Panic) {
    if rustix::thread::gettid() == rustix::process::getpid() {
        return say(How::Panicked, &panic.words());
    }
    if let Some(voice) = Voice::of_any_thread() {
        voice.say(How::Panicked, &panic.words());
    }
}

/// What the standard library says before it aborts because a panic must go no further: in a callback of C, or in a
/// destructor while another panic unwinds. `PanicHookInfo::can_unwind` would tell, and is not stable (Rust 1.95).
const ENDS: [&str; 2] =
    ["panic in a function that cannot unwind", "panic in a destructor during cleanup"];

fn text(payload: &(dyn Any + Send)) -> Option<String> {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref().cloned())
}

/// exit(3) in a worker: the app's handlers stay uncalled.
extern "C" fn exited(code: i32, _: *mut std::ffi::c_void) {
    sys::exit_now(code)
}
