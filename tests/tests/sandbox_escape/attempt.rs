//! One attempt: what is called, what holds it, and how one knows that it would get through otherwise.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;

use tine_tests::confined::Ended;
use tine_tests::scene::Scene;

/// Which rung holds an attempt; with [`By::Both`] each of two would.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    Seccomp,
    Landlock,
    Both,
    /// Seccomp, and a resource limit, which root is exempt from.
    Limit,
    /// Seccomp or not: the limits themselves, once capabilities are gone.
    Kernel,
}

/// What an attempt does to a process that nothing confines.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// It gets past the point where it could be refused.
    Through,
    /// That, and its effect is seen from outside.
    Seen,
    /// The first, for root; this kernel or system refuses ordinary users anyway.
    Root,
    /// Not tried: it would harm the machine or the test, or this kernel lacks it.
    Harmful,
}

#[derive(Clone, Copy)]
pub struct Attempt {
    pub name: &'static str,
    pub by: By,
    pub control: Control,
    pub call: fn(&Scene) -> i64,
}

impl Attempt {
    pub fn make(&self, scene: &Scene, mut socket: &UnixStream) {
        let answer = (self.call)(scene);
        socket.write_all(&answer.to_ne_bytes()).expect("the app reads");
    }

    /// Tells how the attempt got through; a process that vanished without a word ran another program.
    pub fn escaped(&self, ended: &Ended) -> Option<String> {
        // What the filter does with a call of another architecture.
        if ended.status.signal() == Some(libc::SIGSYS) {
            return None;
        }
        let Ok(answer) = ended.answer.as_slice().try_into().map(i64::from_ne_bytes) else {
            return Some(format!("no answer, {:?}", ended.status));
        };
        let refused = [libc::EPERM, libc::EACCES, libc::ENOSYS].map(i64::from);
        // What fork answers beyond the limit of processes.
        let beyond = self.by == By::Limit && answer == -i64::from(libc::EAGAIN);
        let held = refused.contains(&-answer) || beyond || answer == HELD;
        (!held).then(|| format!("answered {answer}"))
    }
}

/// The answer of an attempt whose call succeeds, or may, without effect: only what is seen counts.
pub const HELD: i64 = -(i32::MAX as i64);

/// Writes a table of attempts.
#[macro_export]
macro_rules! attempts {
    ($($name:ident $by:ident $control:ident = $call:expr;)*) => {
        pub const ATTEMPTS: &[$crate::attempt::Attempt] = &[$($crate::attempt::Attempt {
            name: stringify!($name),
            by: $crate::attempt::By::$by,
            control: $crate::attempt::Control::$control,
            call: $call,
        }),*];
    };
}
