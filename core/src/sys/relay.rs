//! Flow 2, at the far end of a command: two streams made one socket.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::fork::{Forked, exit_now, fork};

/// Gives a socket that standard input is read from and standard output is written to by way of.
///
/// Where the two are one socket already (a shell, sshd), that is it; else a child carries the octets
/// between, as long as either side is open.
///
/// # Errors
/// The kernel's.
pub(crate) fn one_socket() -> rustix::io::Result<OwnedFd> {
    let (input, output) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    let (one, other) = (rustix::fs::fstat(input)?, rustix::fs::fstat(output)?);
    let is_socket =
        rustix::fs::FileType::from_raw_mode(one.st_mode) == rustix::fs::FileType::Socket;
    if is_socket && (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino) {
        return rustix::io::fcntl_dupfd_cloexec(input, 3);
    }
    let (near, far) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // Two children, one for each direction: each blocks in one read at a time.
    for outward in [false, true] {
        if let Forked::Child = fork()? {
            drop(near);
            // Whatever stops it is an end of one of the streams, which the others see too.
            let _ = if outward { carry(&far, output, true) } else { carry(input, &far, false) };
            exit_now(0);
        }
    }
    Ok(near)
}

fn carry(
    from: impl std::os::fd::AsFd,
    to: impl std::os::fd::AsFd,
    outward: bool,
) -> rustix::io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let got = rustix::io::retry_on_intr(|| rustix::io::read(&from, &mut buffer))?;
        let mut rest = &buffer[..got];
        while !rest.is_empty() {
            match rustix::io::write(&to, rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTR) => (),
                Err(error) => return Err(error),
            }
        }
        if got == 0 {
            if !outward {
                // The app has closed its end: the worker reads that, and may still answer.
                rustix::net::shutdown(&to, rustix::net::Shutdown::Write)?;
            }
            return Ok(());
        }
    }
}
