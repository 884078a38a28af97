//! Sockets of every family, and what those that were given could reach.

use std::os::fd::AsRawFd as _;

use crate::attempt::HELD;
use crate::attempts;
use tine_tests::call;

attempts! {
    socket_of_any_family Seccomp Through = |_| {
        let kinds = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_RAW, libc::SOCK_SEQPACKET];
        let all = (0..=46).flat_map(|family| kinds.map(|kind| (family, kind)));
        // The first that is not refused, or the last refusal.
        let answers = all.map(|(family, kind)| call!(libc::SYS_socket, family, kind, 0));
        let refused = |answer: &i64| *answer == -i64::from(libc::EPERM);
        answers.into_iter().find(|answer| !refused(answer)).unwrap_or(-i64::from(libc::EPERM))
    };
    socket_pair Seccomp Through = |_| {
        let pair: &mut [u8] = &mut [0; 8];
        call!(libc::SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, pair)
    };
    name_for_a_socket_given Seccomp Through = |s| {
        let address: &mut [u8] = &mut [libc::AF_UNIX as u8, 0];
        call!(libc::SYS_bind, s.datagram.as_raw_fd(), address, 2)
    };
    connect_to_the_app Both Through = |s| {
        let mut address = s.inbox_address();
        let len = address.len();
        call!(libc::SYS_connect, s.datagram.as_raw_fd(), address.as_mut_slice(), len)
    };
    listen_on_a_socket_given Seccomp Through = |s| {
        call!(libc::SYS_listen, s.datagram.as_raw_fd(), 1)
    };
    accept_on_a_socket_given Seccomp Through = |s| {
        call!(libc::SYS_accept4, s.datagram.as_raw_fd(), 0, 0, 0)
    };
    send_to_the_app Both Seen = |s| {
        let mut address = s.inbox_address();
        let len = address.len();
        call!(libc::SYS_sendto, s.datagram.as_raw_fd(), c"X", 1, 0, address.as_mut_slice(), len)
    };
    // No filter can read the address in a message; Landlock sees where it goes.
    send_a_message_to_the_app Landlock Seen = |s| {
        let mut address = s.inbox_address();
        let mut header = [0_usize; 7];
        header[0] = address.as_mut_ptr().addr();
        header[1] = address.len();
        let header: &mut [u8] = &mut header.map(usize::to_ne_bytes).concat();
        call!(libc::SYS_sendmsg, s.datagram.as_raw_fd(), header, 0)
    };
    send_messages_to_the_app Landlock Seen = |s| {
        let mut address = s.inbox_address();
        // A struct mmsghdr: that of a message, and how much of it was sent.
        let mut headers = [0_usize; 8];
        headers[0] = address.as_mut_ptr().addr();
        headers[1] = address.len();
        let headers: &mut [u8] = &mut headers.map(usize::to_ne_bytes).concat();
        call!(libc::SYS_sendmmsg, s.datagram.as_raw_fd(), headers, 1, 0)
    };
    typing_into_the_terminal Seccomp Through = |s| {
        call!(libc::SYS_ioctl, s.picture_fd(), libc::TIOCSTI as i64, c"x")
    };
    typing_into_the_terminal_by_a_longer_number Seccomp Through = |s| {
        call!(libc::SYS_ioctl, s.picture_fd(), libc::TIOCSTI as i64 | 1 << 32, c"x")
    };
    signal_by_a_descriptor_s_owner Both Seen = |s| {
        let fd = s.datagram.as_raw_fd();
        let owned = call!(libc::SYS_fcntl, fd, libc::F_SETOWN, s.victim);
        call!(libc::SYS_fcntl, fd, libc::F_SETFL, libc::O_ASYNC | libc::O_RDWR);
        // A datagram to itself makes it readable, of which SIGIO tells the owner.
        let name = || [libc::AF_UNIX as u8, 0, 0, b't', b'i', b'n', b'e'];
        call!(libc::SYS_bind, fd, name().as_mut_slice(), 7);
        call!(libc::SYS_sendto, fd, c"X", 1, 0, name().as_mut_slice(), 7);
        if owned < 0 { owned } else { HELD }
    };
    owner_of_a_descriptor_by_its_newer_name Seccomp Through = |s| {
        // A struct f_owner_ex: F_OWNER_PID, and which.
        let owner: &mut [u8] = &mut [1, s.victim].map(u32::to_ne_bytes).concat();
        call!(libc::SYS_fcntl, s.datagram.as_raw_fd(), 15, owner)
    };
    signal_of_a_descriptor Seccomp Through = |s| {
        call!(libc::SYS_fcntl, s.datagram.as_raw_fd(), 10, libc::SIGKILL)
    };
    owner_of_a_socket_by_ioctl Seccomp Through = |s| {
        let pid: &mut [u8] = &mut s.victim.to_ne_bytes();
        call!(libc::SYS_ioctl, s.datagram.as_raw_fd(), 0x8902, pid)
    };
    selection_of_the_console Seccomp Through = |s| {
        call!(libc::SYS_ioctl, s.picture_fd(), libc::TIOCLINUX as i64, c"\x02")
    };
    owner_of_a_descriptor_by_ioctl Seccomp Through = |s| {
        let pid: &mut [u8] = &mut s.victim.to_ne_bytes();
        call!(libc::SYS_ioctl, s.datagram.as_raw_fd(), 0x8901, pid)
    };
}
