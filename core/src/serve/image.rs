//! Flow 2: a program that was executed to be a template, or a worker, finds that out before its `main`.
//!
//! It takes more than a variable: a Unix-domain socket of the right kind as descriptor 0, made by a process
//! of the same user, with a message of tine's own in it. A set-user-id program looks at none of it. What
//! is not all of this is no business of tine's, and `main` runs.
//!
//! There may be more than one copy of tine: a library can have its own. The role says which of them it is for; a
//! library that was loaded late is loaded into the fresh image before the program begins (ld.so(8), `LD_PRELOAD`).

mod library;

use std::ffi::CString;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::net::{AddressFamily, RecvFlags, SocketType, sockopt};
use rustix::process::Pid;

use super::enter::{Birth, enter};
use super::items::Items;
use super::limit::Limit;
use super::template::settle_and_serve;
use crate::wire::{HEADER, Header, Message, VERSION, Waiting, socket};
use crate::{Error, ErrorKind, Result, sys};

pub(crate) use library::Library;

/// The variable: `template GROUP`, `template-of PID GROUP` or `process-of PID GROUP LIMIT LOCALE`, and for which copy of
/// tine; or `remote`.
pub(crate) const VARIABLE: &str = "TINE_TEMPLATE";

/// The program's own image, through its inode: replaced, renamed and deleted files do not matter (proc(5)).
const OWN_IMAGE: &str = "/proc/self/exe";

/// For which copy: the program's.
const PROGRAM: &str = "program";
/// For which copy: of another program, its own; or if it has none, the first that comes.
const ANY: &str = "any";

#[expect(unsafe_code, reason = "linkme names a linker section; the function itself is safe")]
#[linkme::distributed_slice(sys::startup::BEFORE_MAIN)]
static TAKE_OVER: fn() = take_over;

fn take_over() {
    let Some(role) = std::env::var_os(VARIABLE) else { return };
    if sys::startup::is_secure() {
        return;
    }
    if role == "remote" {
        if library::is_preferred() {
            remote();
        }
        return;
    }
    let Some((role, copy)) = role.to_str().and_then(|role| role.rsplit_once(' ')) else { return };
    let Some(language) = kind(role).and_then(language_of_ours) else { return };
    if !library::is_for(copy) {
        return;
    }
    sys::remove_variable(c"TINE_TEMPLATE");
    // What is tine's runs no `main`, even where it cannot begin.
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)
        .unwrap_or_else(|_| sys::exit_now(1));
    let Some(role) = Role::parse(role).filter(|_| language == Language::Own) else {
        refuse(&socket)
    };
    match role {
        Role::Template { parent, group } => {
            super::group::come_from(group);
            settle_and_serve(socket, parent)
        }
        Role::Process { parent, group, limit, locale } => {
            super::group::come_from(group);
            if !sys::is_locale(&locale) {
                sys::set_locale(&locale);
            }
            // Its template executed it with SIGPIPE's default action, as the standard library starts programs.
            sys::ignore_broken_pipes();
            sys::title::begin();
            super::enter::make_ready();
            enter(Birth {
                socket,
                voice: None,
                waiting: Waiting::default(),
                caller: None,
                spare: false,
                items: Items::default(),
                parent,
                limit: Limit::from_number(limit),
            })
        }
    }
}

/// At the far end of a command there is no socket of tine's making to know it by, only the variable, which
/// the command was told to set; the first order is looked at before anything is done.
fn remote() -> ! {
    sys::remove_variable(c"TINE_TEMPLATE");
    sys::title::begin();
    super::enter::make_ready();
    super::enter::enter_remote()
}

/// What the program was executed to be.
enum Role {
    Template {
        /// That which it dies with.
        parent: Option<Pid>,
        group: i32,
    },
    Process {
        parent: Pid,
        group: i32,
        limit: u64,
        /// The app's, which an image does not inherit as it does the rest of the app's state.
        locale: CString,
    },
}

impl Role {
    fn parse(role: &str) -> Option<Role> {
        // A locale's name may have spaces in it.
        let mut words = role.splitn(5, ' ');
        let role = match words.next()? {
            "template" => Role::Template { parent: None, group: words.next()?.parse().ok()? },
            "template-of" => Role::Template {
                parent: Some(pid(words.next()?)?),
                group: words.next()?.parse().ok()?,
            },
            "process-of" => Role::Process {
                parent: pid(words.next()?)?,
                group: words.next()?.parse().ok()?,
                limit: words.next()?.parse().ok()?,
                locale: CString::new(words.next()?).ok()?,
            },
            _ => return None,
        };
        words.next().is_none().then_some(role)
    }
}

/// The kind of socket that a role comes with; None: it is no role.
fn kind(role: &str) -> Option<SocketType> {
    match role.split(' ').next()? {
        "template" | "template-of" => Some(SocketType::SEQPACKET),
        "process-of" => Some(SocketType::STREAM),
        _ => None,
    }
}

fn pid(number: &str) -> Option<Pid> {
    number.parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw)
}

/// What the sender of a role speaks; None: this is not what comes with one.
fn language_of_ours(kind: SocketType) -> Option<Language> {
    let socket = rustix::stdio::stdin();
    let is_ours = sockopt::socket_domain(socket) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(socket) == Ok(kind)
        && is_of_our_user(socket);
    language(socket).filter(|_| is_ours)
}

fn is_of_our_user(socket: impl AsFd) -> bool {
    sockopt::socket_peercred(socket).is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

#[derive(PartialEq, Eq)]
enum Language {
    Own,
    /// That of another version of tine, which begins alike.
    Another,
}

fn language(socket: impl AsFd) -> Option<Language> {
    let mut header = [0; HEADER];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let got = rustix::net::recv(socket, &mut header, flags);
    let Ok((HEADER.., _)) = got else { return None };
    if Header::decode(&header).is_ok() {
        return Some(Language::Own);
    }
    (header[0] != VERSION && header[1] == Message::BEGIN).then_some(Language::Another)
}

/// Ends this process, which was told to be something in another version's words. The app sees by the first octet of
/// this that it is, and can tell its user; `main` could not.
fn refuse(socket: &OwnedFd) -> ! {
    let refused = Message::Refused { errno: 0, what: b"it is of another version of tine" };
    // An app that is gone will not ask.
    let _ = socket::send(socket, &refused.encode(0, 0).0, &[]);
    sys::exit_now(1)
}

/// The command that executes this program's own image in a role, with `socket` as its descriptor 0.
///
/// # Errors
/// Why it would not learn of its role, or another program would be executed.
pub(crate) fn own(role: &str, socket: OwnedFd, library: Option<&Library>) -> Result<Command> {
    check_rights(Path::new(OWN_IMAGE), "the program's own image")?;
    check_socket(&socket, "the program's own image")?;
    let mut command = Command::new(OWN_IMAGE);
    if let Some(started) = sys::loader::by_hand() {
        let arguments = started.arguments().map_err(|(program, error)| {
            let program = program.display();
            Error::system(
                format_args!("execute {program}, which its loader was told to run"),
                error,
            )
        })?;
        command.args(arguments);
    }
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    let copy = match library {
        Some(library) => library.preload(&mut command)?,
        None => PROGRAM,
    };
    command.env(VARIABLE, format!("{role} {copy}")).stdin(Stdio::from(socket));
    Ok(command)
}

/// The same of another program, which is found by `image` and known to its user as `name`.
///
/// # Errors
/// Why it would not learn of its role.
pub(crate) fn other(image: &Path, name: &Path, role: &str, socket: OwnedFd) -> Result<Command> {
    check_rights(image, name.display())?;
    check_socket(&socket, name.display())?;
    let mut command = Command::new(image);
    command.arg0(name).env(VARIABLE, format!("{role} {ANY}")).stdin(Stdio::from(socket));
    Ok(command)
}

fn check_rights(image: &Path, name: impl fmt::Display) -> Result<()> {
    if !sys::rights::would_grow(image) {
        return Ok(());
    }
    let message = format!(
        "cannot execute {name} as a template: it would run with more rights than its user has (set-user-id, \
         set-group-id or capabilities), and so ignore that it is to be one"
    );
    Err(Error::new(ErrorKind::Misuse, message))
}

/// What a program would not take for a socket of tine's would have it run its `main`.
fn check_socket(socket: &OwnedFd, name: impl fmt::Display) -> Result<()> {
    if !is_of_our_user(socket) {
        let own = rustix::process::geteuid().as_raw();
        let message = format!(
            "cannot execute {name}: the app has become another user, and what its template executes would be \
             user {own} still"
        );
        return Err(Error::new(ErrorKind::Misuse, message));
    }
    if language(socket) != Some(Language::Own) {
        let message = format!("cannot execute {name}: its socket does not begin as it should");
        return Err(Error::new(ErrorKind::Protocol, message));
    }
    Ok(())
}

/// What is wrong when the kernel refuses to execute the program's own image.
pub(crate) fn not_executed(error: std::io::Error) -> Error {
    let what = match rustix::fs::stat(OWN_IMAGE) {
        Ok(_) => "execute the program's own image",
        Err(_) => {
            "execute the program's own image, which is found by /proc/self/exe: is /proc mounted"
        }
    };
    Error::system(what, error)
}
