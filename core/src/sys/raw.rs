//! Flow 2: system calls that do not go through the C library.
//!
//! What a fresh process does first is paid for by the page: each 64 KiB of code that it enters costs a page
//! fault, and the C library's `syscall` lies on a page that nothing else there needs.
#![allow(unsafe_code)]

/// Makes a system call of at most four arguments; gives what the kernel does, an error as its negative number.
///
/// # Safety
/// As that system call's, which reads and writes what its pointers are to, and nothing else.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) unsafe fn syscall(number: libc::c_long, args: [usize; 4]) -> isize {
    let result;
    // SAFETY: the kernel changes rax, rcx and r11, which are named here (syscall(2)); the rest is the caller's.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// The same, through the C library.
///
/// # Safety
/// The same.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(super) unsafe fn syscall(number: libc::c_long, args: [usize; 4]) -> isize {
    // SAFETY: the caller's.
    let result = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3]) };
    match result {
        -1 => -std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL) as isize,
        result => result as isize,
    }
}
