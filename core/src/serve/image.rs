//! Flow 2: a program that was executed to be a template, or a worker, finds that out before its `main`.
//!
//! It takes more than a variable: a Unix-domain socket of the right kind as descriptor 0, made by a process
//! of the same user, with a message of tine's own in it. A set-user-id program looks at none of it. What
//! is not all of this is no business of tine's, and `main` runs.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::net::{AddressFamily, RecvFlags, SocketType, sockopt};
use rustix::process::Pid;

use super::enter::{Birth, enter};
use super::items::Items;
use super::limit::Limit;
use super::template::settle_and_serve;
use crate::sys;
use crate::wire::{HEADER, Header, Waiting};

/// The variable: `template`, `template-of PID`, `process-of PID GROUP LIMIT` or `remote`.
pub(crate) const VARIABLE: &str = "TINE_TEMPLATE";

/// The program's own image, through its inode: replaced, renamed and deleted files do not matter (proc(5)).
pub(crate) const OWN_IMAGE: &str = "/proc/self/exe";

#[expect(unsafe_code, reason = "linkme names a linker section; the function itself is safe")]
#[linkme::distributed_slice(sys::startup::BEFORE_MAIN)]
static TAKE_OVER: fn() = take_over;

fn take_over() {
    let Some(role) = std::env::var_os(VARIABLE) else { return };
    if sys::startup::is_secure() {
        return;
    }
    if role == "remote" {
        remote();
    }
    let Some(role) = role.to_str().and_then(Role::parse) else { return };
    if !is_ours(role.kind()) {
        return;
    }
    sys::remove_variable(c"TINE_TEMPLATE");
    let Ok(socket) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else { return };
    match role {
        Role::Template(parent) => settle_and_serve(socket, parent),
        Role::Process { parent, group, limit } => {
            super::group::come_from(group);
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
    /// With the process that it dies with.
    Template(Option<Pid>),
    Process {
        parent: Pid,
        group: i32,
        limit: u64,
    },
}

impl Role {
    fn parse(role: &str) -> Option<Role> {
        let mut words = role.split(' ');
        let role = match words.next()? {
            "template" => Role::Template(None),
            "template-of" => Role::Template(Some(pid(words.next()?)?)),
            "process-of" => Role::Process {
                parent: pid(words.next()?)?,
                group: words.next()?.parse().ok()?,
                limit: words.next()?.parse().ok()?,
            },
            _ => return None,
        };
        words.next().is_none().then_some(role)
    }

    fn kind(&self) -> SocketType {
        match self {
            Role::Template(_) => SocketType::SEQPACKET,
            Role::Process { .. } => SocketType::STREAM,
        }
    }
}

fn pid(number: &str) -> Option<Pid> {
    number.parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw)
}

fn is_ours(kind: SocketType) -> bool {
    let socket = rustix::stdio::stdin();
    sockopt::socket_domain(socket) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(socket) == Ok(kind)
        && sockopt::socket_peercred(socket).is_ok_and(|peer| peer.uid == rustix::process::geteuid())
        && speaks_our_language()
}

fn speaks_our_language() -> bool {
    let mut header = [0; HEADER];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    matches!(rustix::net::recv(rustix::stdio::stdin(), &mut header, flags), Ok((HEADER.., _)))
        && Header::decode(&header).is_ok()
}

/// The command that executes `image` in a role, with `socket` as its descriptor 0.
pub(crate) fn command(image: &str, role: &str, socket: OwnedFd) -> Command {
    let mut command = Command::new(image);
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    command.env(VARIABLE, role).stdin(Stdio::from(socket));
    command
}
