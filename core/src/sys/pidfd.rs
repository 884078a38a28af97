//! Both flows: what the kernel tells of a process that was reaped.
//!
//! # Safety
//! `PIDFD_GET_INFO` (linux/pidfd.h) fills a struct of the size that its number names; older kernels
//! refuse the number.
#![allow(unsafe_code)]

use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use std::os::fd::AsFd;

/// `struct pidfd_info` of its first version; only the ends matter here.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    between: [u32; 13],
    exit_code: i32,
}

const EXIT: u64 = 1 << 3;
const GET_INFO: Opcode = opcode::read_write::<Info>(0xff, 11);

/// The wait status that a process ended with, though it may have been reaped by anyone; `None` before
/// that, and before Linux 6.15.
pub(crate) fn reaped_status(pidfd: impl AsFd) -> Option<i32> {
    let mut info = Info { mask: EXIT, ..Info::default() };
    // SAFETY: the opcode is of this struct's size, and the kernel writes no more than that.
    let request = unsafe { Updater::<GET_INFO, Info>::new(&mut info) };
    // SAFETY: the ioctl has no effect but to fill the struct.
    unsafe { ioctl(pidfd, request) }.ok()?;
    (info.mask & EXIT != 0).then_some(info.exit_code)
}
