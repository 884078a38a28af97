//! What C code does to a process and safe Rust does not: handlers, masks, stray descriptors, buffers.
//!
//! # Safety
//! Each function calls one function of the C library whose arguments are constants, numbers or strings
//! that live through the call. Handlers and exit functions that are installed do nothing but write(2) or
//! nothing at all. The programs that call these have one thread.
#![expect(unsafe_code, reason = "C is what it stands for")]

use std::ffi::CStr;
use std::os::fd::{FromRawFd as _, IntoRawFd, OwnedFd, RawFd};

/// Leaves a descriptor open at `number`, or wherever there is room, without close-on-exec.
///
/// # Panics
/// When the number cannot be had.
pub fn leak(fd: OwnedFd, number: Option<RawFd>) -> RawFd {
    let fd = fd.into_raw_fd();
    // SAFETY: see the top; nobody owns `number` by then, or dup2 closes what the caller gave up.
    unsafe {
        match number {
            Some(number) => {
                assert_eq!(libc::dup2(fd, number), number, "dup2");
                libc::close(fd);
                number
            }
            None => {
                assert_eq!(libc::fcntl(fd, libc::F_SETFD, 0), 0, "fcntl");
                fd
            }
        }
    }
}

/// Takes a descriptor that a call has just given.
pub fn owned(number: RawFd) -> OwnedFd {
    // SAFETY: the caller was given it by the kernel, and nobody else knows of it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Loads `tine_test_library`, for as long as the program runs, and asks it.
///
/// # Panics
/// When it cannot be loaded.
pub fn ask_library(path: &std::path::Path, what: i32) -> i32 {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("a path");
    // SAFETY: see the top.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    // SAFETY: see the top; of a library that could not be loaded there is no symbol.
    let ask = unsafe { libc::dlsym(library, c"tine_test_ask".as_ptr()) };
    assert!(!library.is_null() && !ask.is_null(), "{path:?}");
    // SAFETY: the library says that this is the function's type.
    let ask: extern "C" fn(i32) -> i32 = unsafe { std::mem::transmute(ask) };
    ask(what)
}

/// Closes a descriptor by its number.
pub fn close(number: RawFd) {
    // SAFETY: see the top; the caller says that nobody uses it any more.
    unsafe { libc::close(number) };
}

/// Writes to a descriptor by its number, whatever it is, without waiting for room.
pub fn write(number: RawFd, octets: &[u8]) {
    // SAFETY: see the top; a socket's buffer may be full, and then nobody is waited for.
    unsafe {
        if libc::send(number, octets.as_ptr().cast(), octets.len(), libc::MSG_DONTWAIT) < 0 {
            libc::write(number, octets.as_ptr().cast(), octets.len());
        }
    }
}

extern "C" fn nothing(_: libc::c_int) {}

/// Handles a signal by doing nothing, as opposed to ignoring it.
pub fn handle(signal: i32) {
    // SAFETY: see the top.
    unsafe { libc::signal(signal, nothing as extern "C" fn(libc::c_int) as libc::sighandler_t) };
}

/// Ignores a signal.
pub fn ignore(signal: i32) {
    // SAFETY: see the top.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Gives a signal its default action.
pub fn default(signal: i32) {
    // SAFETY: see the top.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Blocks a signal in this thread.
pub fn block(signal: i32) {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set that the others read.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}

/// Sets the locale of all categories; tells whether the system has it.
pub fn set_locale(name: &CStr) -> bool {
    // SAFETY: see the top.
    unsafe { !libc::setlocale(libc::LC_ALL, name.as_ptr()).is_null() }
}

/// The locale of all categories.
pub fn locale() -> String {
    // SAFETY: with a null pointer setlocale only answers, and never with null.
    unsafe { CStr::from_ptr(libc::setlocale(libc::LC_ALL, std::ptr::null())) }
        .to_string_lossy()
        .into_owned()
}

/// The hour of the day, by the C library's time zone, at the beginning of 1970.
pub fn hour_of_the_epoch() -> i32 {
    // SAFETY: both pointers are to values of this frame; a zeroed tm is valid.
    unsafe {
        let mut tm = std::mem::zeroed();
        libc::localtime_r(&0, &mut tm);
        tm.tm_hour
    }
}

/// Sets an environment variable, which is safe in a program with one thread.
pub fn set_variable(name: &str, value: &str) {
    // SAFETY: see the top.
    unsafe { std::env::set_var(name, value) };
}

/// Removes an environment variable, which is safe in a program with one thread.
pub fn remove_variable(name: &str) {
    // SAFETY: see the top.
    unsafe { std::env::remove_var(name) };
}

extern "C" fn gone() {
    // SAFETY: write(2) of a constant.
    unsafe { libc::write(2, b"exit handler of the app\n".as_ptr().cast(), 24) };
}

/// Has a line written to standard error when this process calls exit(3).
pub fn speak_at_exit() {
    // SAFETY: see the top.
    unsafe { libc::atexit(gone) };
}

/// Leaves text in the C library's buffer of a stream to `fd`, to be written by exit(3).
///
/// # Panics
/// When the stream cannot be had.
pub fn buffer(fd: OwnedFd, text: &CStr) {
    // SAFETY: see the top; the stream owns the descriptor and lives as long as the process.
    unsafe {
        let stream = libc::fdopen(fd.into_raw_fd(), c"w".as_ptr());
        assert!(!stream.is_null(), "fdopen");
        libc::fputs(text.as_ptr(), stream);
    }
}

/// Leaves by _exit(2).
pub fn leave(code: i32) -> ! {
    // SAFETY: see the top.
    unsafe { libc::_exit(code) }
}

/// Sends a signal to the thread that calls (raise(3)).
pub fn raise(signal: i32) {
    // SAFETY: see the top.
    unsafe { libc::raise(signal) };
}

/// Has the parent trace this thread, whether it wants to or not (ptrace(2), `PTRACE_TRACEME`).
pub fn be_traced() {
    // SAFETY: see the top.
    unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
}

/// Stops dying with the parent, as a program that calls prctl(2) can.
pub fn outlive_parent() {
    // SAFETY: see the top.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) };
}

/// Forks; the child runs `child` and leaves by _exit(2). Gives the child's id.
///
/// # Panics
/// When fork fails.
pub fn fork(child: impl FnOnce()) -> u32 {
    fork_in_two().unwrap_or_else(|| {
        child();
        leave(0)
    })
}

/// Forks; parent and child come back. Gives the child's id, and None in the child.
///
/// # Panics
/// When fork fails.
pub fn fork_in_two() -> Option<u32> {
    // SAFETY: the programs that call this have one thread.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    (pid > 0).then_some(pid.cast_unsigned())
}

/// Waits for a child: its status as waitpid(2) has it, and the most memory it had, in KiB.
///
/// # Panics
/// When it is no child.
pub fn wait(pid: u32) -> (i32, u64) {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to values of this frame; a zeroed rusage is valid.
    let (answer, usage) = unsafe {
        let answer = libc::wait4(pid.cast_signed(), &mut status, 0, usage.as_mut_ptr());
        (answer, usage.assume_init())
    };
    assert_eq!(answer, pid.cast_signed(), "wait4");
    (status, usage.ru_maxrss.cast_unsigned())
}

/// Turns root into an ordinary user for good, as `setpriv --reuid --regid --clear-groups` does.
///
/// # Panics
/// When this is not root.
pub fn become_user(id: u32) {
    // SAFETY: see the top. A process that changes its user is not dumpable until it says so; a program
    // that was started by the user is.
    unsafe {
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0, "setgroups");
        assert_eq!(libc::setresgid(id, id, id), 0, "setresgid");
        assert_eq!(libc::setresuid(id, id, id), 0, "setresuid");
        assert_eq!(libc::prctl(libc::PR_SET_DUMPABLE, 1), 0, "prctl");
    }
}

/// An argument of a system call.
#[derive(Debug)]
pub enum Arg<'a> {
    /// A number, descriptor, set of flags or address that is none.
    Number(i64),
    /// A name.
    Name(&'a CStr),
    /// A structure or buffer.
    Room(&'a mut [u8]),
}

macro_rules! numbers {
    ($($of:ty)*) => { $(impl From<$of> for Arg<'_> {
        fn from(number: $of) -> Self {
            Arg::Number(number as i64)
        }
    })* };
}
numbers!(i32 u32 i64 u64 usize);

impl<'a> From<&'a CStr> for Arg<'a> {
    fn from(name: &'a CStr) -> Self {
        Arg::Name(name)
    }
}

impl<'a> From<&'a mut [u8]> for Arg<'a> {
    fn from(room: &'a mut [u8]) -> Self {
        Arg::Room(room)
    }
}

/// Makes a system call by number, as hostile code would; the answer is the call's or `-errno`.
///
/// For processes that are thrown away: what a call that should have been refused does to this one's
/// memory is the finding, not a fault.
pub fn call(number: i64, args: &mut [Arg<'_>]) -> i64 {
    let mut words = [0; 6];
    for (word, arg) in words.iter_mut().zip(args) {
        *word = match arg {
            Arg::Number(number) => *number,
            Arg::Name(name) => name.as_ptr() as i64,
            Arg::Room(room) => room.as_mut_ptr() as i64,
        };
    }
    let [a, b, c, d, e, f] = words;
    // SAFETY: pointers are to what the arguments borrow; see above for calls that write past it.
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        answer => answer,
    }
}

/// Makes a system call: the number, then arguments of any kind that [`Arg`] is from.
#[macro_export]
macro_rules! call {
    ($number:expr $(, $arg:expr)* $(,)?) => {
        $crate::native::call($number, &mut [$($crate::native::Arg::from($arg)),*])
    };
}

/// Makes a system call of the 32-bit architecture that this one can run, with a name as its argument;
/// pretends to be refused where there is none.
#[cfg(target_arch = "x86_64")]
pub fn call_by_old_gate(number: i32, name: &CStr) -> i64 {
    let mut answer = i64::from(number);
    // SAFETY: the kernel sees the low half of the address, in which it finds nothing or something else
    // of this process to read; it restores all registers but the answer's and, on some kernels, r8 to r11.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {name}", "int 0x80", "xchg rbx, {name}",
            name = inout(reg) name.as_ptr() => _,
            inout("rax") answer,
            in("rcx") 0, in("rdx") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    i64::from(answer as i32)
}

/// There is no such architecture beside this one.
#[cfg(not(target_arch = "x86_64"))]
pub fn call_by_old_gate(_: i32, _: &CStr) -> i64 {
    -i64::from(libc::EFAULT)
}

/// Maps the first `len` octets of a file, shared and for reading, and gives the one at `at`.
///
/// # Panics
/// When it cannot be mapped.
pub fn mapped_octet(file: &std::fs::File, len: usize, at: usize) -> u8 {
    use std::os::fd::AsRawFd as _;
    assert!(at < len, "inside");
    // SAFETY: a new mapping, which is given back before anyone else knows of it; `at` lies in it, and
    // the file is as long.
    unsafe {
        let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
        let start = libc::mmap(std::ptr::null_mut(), len, read, shared, file.as_raw_fd(), 0);
        assert_ne!(start, libc::MAP_FAILED, "mmap");
        let octet = *start.cast::<u8>().add(at);
        libc::munmap(start, len);
        octet
    }
}

/// Waits for a child of [`fork`].
///
/// # Panics
/// When it is not one.
pub fn reap(pid: u32) {
    let mut status = 0;
    // SAFETY: the pointer is to a value of this frame.
    let reaped = unsafe { libc::waitpid(pid.cast_signed(), &mut status, 0) };
    assert_eq!(reaped, pid.cast_signed(), "waitpid");
}

/// Makes a terminal (pty(7)): the end of whoever types and reads, and the path of the programs' end.
///
/// # Panics
/// When there is none to be had.
pub fn terminal() -> (OwnedFd, String) {
    // SAFETY: opens a descriptor and touches nothing else.
    let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    assert!(master >= 0, "a terminal: {}", std::io::Error::last_os_error());
    // SAFETY: it was just made, and nobody else has it.
    let owned = unsafe { OwnedFd::from_raw_fd(master) };
    let mut name = [0_u8; 64];
    // SAFETY: the descriptor is open, and the name's room is as long as is said.
    let named = unsafe {
        libc::grantpt(master) == 0
            && libc::unlockpt(master) == 0
            && libc::ptsname_r(master, name.as_mut_ptr().cast(), name.len()) == 0
    };
    assert!(named, "a terminal's name: {}", std::io::Error::last_os_error());
    let name = CStr::from_bytes_until_nul(&name).expect("a name that ends");
    (owned, name.to_str().expect("text").into())
}
