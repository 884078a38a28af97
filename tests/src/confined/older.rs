//! A kernel whose Landlock is older: the question for its ABI is answered by another process, which seccomp asks
//! (seccomp_unotify(2)); all other calls are the kernel's own.

use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::{call, native};

/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const ANSWER: u16 = 0x06;

/// Of linux/seccomp.h.
const NEW_LISTENER: i32 = 1 << 3;
const USER_NOTIF: u32 = 0x7fc0_0000;
const NOTIF_RECV: i64 = 0xc050_2100;
const NOTIF_SEND: i64 = 0xc018_2101;
const CONTINUE: u32 = 1;
/// Of linux/landlock.h.
const VERSION: u64 = 1;

/// From now on this process, and whatever it forks, finds a Landlock of this ABI.
///
/// # Panics
/// When the kernel does not let it.
pub(super) fn pretend(abi: u8) {
    rustix::thread::set_no_new_privs(true).expect("no new privileges");
    let create = libc::SYS_landlock_create_ruleset as u32;
    // Only the number is looked at: whoever calls is a test.
    let filter: Vec<u8> = [
        instruction(LOAD, 0, 0, 0),
        instruction(IF_EQUAL, 0, 1, create),
        instruction(ANSWER, 0, 0, USER_NOTIF),
        instruction(ANSWER, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
    .concat();
    let program: &mut [u8] = &mut [4, filter.as_ptr().addr()].map(usize::to_ne_bytes).concat();
    let listener = call!(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, NEW_LISTENER, program);
    let listener = i32::try_from(listener).ok().filter(|fd| *fd >= 0).expect("a listener");
    let listener = native::owned(listener);
    let asks = rustix::process::getpid();
    native::fork(|| {
        // Not by the signal of a parent's death: that parent may send none to those outside of its Landlock.
        let Ok(asks) = pidfd_open(asks, PidfdFlags::empty()) else { return };
        loop {
            let mut events =
                [PollFd::new(&listener, PollFlags::IN), PollFd::new(&asks, PollFlags::IN)];
            let polled = poll(&mut events, None).is_ok();
            let [call, end] = events.map(|event| !event.revents().is_empty());
            if !polled || end || call && !answer(&listener, abi) {
                return;
            }
        }
    });
}

fn instruction(code: u16, then: u8, or: u8, value: u32) -> Vec<u8> {
    [&code.to_ne_bytes()[..], &[then, or], &value.to_ne_bytes()].concat()
}

/// Answers one call; false when nobody is left who could make one.
fn answer(listener: &OwnedFd, abi: u8) -> bool {
    // A struct seccomp_notif: id, process, flags, and the call with its six arguments from octet 32 on.
    let mut asked = [0; 80];
    if call!(libc::SYS_ioctl, listener.as_raw_fd(), NOTIF_RECV, &mut asked[..]) < 0 {
        return false;
    }
    let word = |at: usize| asked[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
    let (id, flags) = (word(0), word(48));
    // A struct seccomp_notif_resp: id, value, error, flags.
    let (value, go_on) = match flags {
        VERSION => (u64::from(abi), 0),
        // Errata, of which it has none.
        2.. => (0, 0),
        _ => (0, CONTINUE),
    };
    let mut said = [id, value, u64::from(go_on) << 32].map(u64::to_ne_bytes).concat();
    if cfg!(target_endian = "big") {
        said[16..].rotate_left(4);
    }
    call!(libc::SYS_ioctl, listener.as_raw_fd(), NOTIF_SEND, said.as_mut_slice()) == 0
}
