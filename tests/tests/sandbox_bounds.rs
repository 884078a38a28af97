//! B8: what a worker can use up inside the sandbox, and that it ends there.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use rustix::fs::{FallocateFlags, MemfdFlags, memfd_create};
use tine::Sandbox;
use tine_tests::confined::{self, Ended, Lacking};
use tine_tests::{call, native};

const MIB: usize = 1 << 20;
const LIMIT: u64 = 64 << 20;

fn main() {
    for (name, test) in [
        ("memory_ends_the_process_at_its_limit", memory as fn()),
        ("memory_beyond_the_limit_is_refused_to_who_asks", memory_asked_for),
        ("memory_of_files_counts_when_it_is_mapped", memory_mapped),
        ("memory_of_every_other_kind_ends_at_the_limit", memory_of_other_kinds),
        ("pages_that_are_huge_count_as_others", huge_pages),
        ("pipes_hold_little", pipes),
        ("a_file_ends_the_process_at_its_limit", file_size),
        ("memory_files_are_bounded_in_number_and_size", memory_files),
        ("descriptors_end_at_their_limit", descriptors),
        ("processor_time_ends_the_process", processor_time),
        ("processor_time_ends_who_ignores_the_signal", processor_time_ignored),
        ("a_stack_ends_before_the_machine_does", stack),
    ] {
        confined::as_each_user(test);
        println!("test {name} ... ok");
    }
}

fn run(sandbox: Sandbox, inside: impl FnOnce()) -> Ended {
    confined::run(&sandbox, &Lacking::nothing(), |_| inside())
}

/// Uses up to 512 MiB, page by page.
fn gorge() {
    let mut held = Vec::new();
    for n in 0..512 {
        held.push(vec![n as u8 | 1; MIB]);
    }
    std::hint::black_box(held);
}

fn memory() {
    let free = confined::run_free(|_| gorge());
    assert!(free.status.success() && free.most > 512 << 10, "unconfined it does: {free:?}");
    let ended = run(Sandbox::new().memory(LIMIT), gorge);
    assert_eq!(ended.status.signal(), Some(libc::SIGABRT), "{ended:?}");
    // What was mapped before, its program and the C library, comes on top as it is used.
    assert!(ended.most < (LIMIT >> 10) + (16 << 10), "{ended:?}");
}

fn memory_asked_for() {
    let ended = run(Sandbox::decoder().memory(LIMIT), || {
        let mut octets: Vec<u8> = Vec::new();
        octets.try_reserve(32 * MIB).expect("within the limit");
        octets.try_reserve(96 * MIB).expect_err("beyond it");
        octets.extend([7; 1000]);
    });
    assert!(ended.status.success(), "{ended:?}");
}

fn memory_mapped() {
    let file = File::from(memfd_create("large", MemfdFlags::CLOEXEC).expect("memfd"));
    file.set_len(96 << 20).expect("room");
    let ended = run(Sandbox::decoder().memory(LIMIT), || {
        native::mapped_octet(&file, 32 * MIB, 0);
        native::mapped_octet(&file, 96 * MIB, 0);
    });
    assert_eq!(ended.status.code(), Some(101), "the second panics: {ended:?}");
}

fn memory_of_other_kinds() {
    let (anonymous, shared) = (libc::MAP_ANONYMOUS, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    let kinds = [
        anonymous | libc::MAP_PRIVATE,
        anonymous | libc::MAP_PRIVATE | libc::MAP_NORESERVE,
        anonymous | libc::MAP_PRIVATE | libc::MAP_LOCKED,
        anonymous | libc::MAP_PRIVATE | libc::MAP_GROWSDOWN,
        shared,
        shared | libc::MAP_LOCKED,
        shared | libc::MAP_HUGETLB,
    ];
    let attempts = || {
        let map = |len, flags| {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            call!(libc::SYS_mmap, 0, len, access, flags, -1, 0)
        };
        let mapped = kinds.map(|flags| map(96 * MIB, flags));
        let some = map(MIB, shared);
        let grown = call!(libc::SYS_mremap, some, MIB, 96 * MIB, libc::MREMAP_MAYMOVE);
        let end = call!(libc::SYS_brk, 0);
        let moved = call!(libc::SYS_brk, end + 96 * MIB as i64) > end;
        // Whether there was any: a kernel without huge pages, or a limit of what is locked, has none to give.
        mapped.into_iter().chain([grown]).map(|got| got >= 0).chain([moved]).collect::<Vec<_>>()
    };
    let free = confined::run_free(|mut socket| {
        socket.write_all(&attempts().into_iter().map(u8::from).collect::<Vec<_>>()).expect("write");
    });
    assert!([0, 1, 3, 4, 7, 8].iter().all(|kind| free.answer[*kind] == 1), "unconfined: {free:?}");
    let ended = run(Sandbox::decoder().memory(LIMIT), || {
        assert!(!attempts().contains(&true));
    });
    assert!(ended.status.success(), "{ended:?}");
}

fn huge_pages() {
    /// This kernel has none to give.
    const NONE: i32 = 7;
    let ended = run(Sandbox::decoder().file_size(LIMIT), || {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB;
        let Ok(file) = memfd_create("huge", flags) else { native::leave(NONE) };
        File::from(file).set_len(LIMIT + (2 << 20)).expect("ftruncate");
    });
    let none = ended.status.code() == Some(NONE);
    assert!(none || ended.status.signal() == Some(libc::SIGXFSZ), "{ended:?}");
}

fn pipes() {
    let ended = confined::run(&Sandbox::decoder(), &Lacking::nothing(), |mut socket| {
        let mut held = 0_u64;
        let mut pipes = Vec::new();
        while let Ok((reader, writer)) = std::io::pipe() {
            let fd = writer.as_raw_fd();
            // What a user may have without privileges, and no more.
            let size = call!(libc::SYS_fcntl, fd, libc::F_SETPIPE_SZ, 64 << 20);
            let size = if size < 0 { call!(libc::SYS_fcntl, fd, libc::F_GETPIPE_SZ) } else { size };
            held += size.unsigned_abs();
            pipes.push((reader, writer));
        }
        socket.write_all(&held.to_le_bytes()).expect("write");
    });
    let held = u64::from_le_bytes(ended.answer[..8].try_into().expect("a number"));
    assert!((1..=16 << 20).contains(&held), "{held} octets in pipes");
}

fn file_size() {
    let growths: [fn(&mut File); 3] = [
        |file| file.set_len(LIMIT + 1).expect("ftruncate"),
        |file| {
            let all = FallocateFlags::empty();
            rustix::fs::fallocate(file, all, 0, LIMIT + 1).expect("fallocate");
        },
        |file| {
            for _ in 0..65 {
                file.write_all(&[0; MIB]).expect("write");
            }
        },
    ];
    for (index, grow) in growths.into_iter().enumerate() {
        let ended = run(Sandbox::decoder().file_size(LIMIT), || {
            let file = memfd_create("result", MemfdFlags::CLOEXEC).expect("memfd");
            let mut file = File::from(file);
            file.set_len(LIMIT).expect("as large as is allowed");
            grow(&mut file);
        });
        assert_eq!(ended.status.signal(), Some(libc::SIGXFSZ), "{index}: {ended:?}");
    }
}

fn memory_files() {
    let ended = confined::run(&Sandbox::decoder(), &Lacking::nothing(), |mut socket| {
        let make = || memfd_create("result", MemfdFlags::CLOEXEC).ok();
        let files: Vec<File> = std::iter::from_fn(make).map(File::from).collect();
        for file in &files {
            file.set_len(256 << 20).expect("as large as is allowed");
        }
        socket.write_all(&[files.len() as u8]).expect("write");
    });
    assert!(ended.status.success(), "{ended:?}");
    assert!((1..32).contains(&ended.answer[0]), "{ended:?}");
}

fn descriptors() {
    let ended = run(Sandbox::decoder(), || {
        let (ours, _theirs) = std::io::pipe().expect("a pipe");
        let mut copies: Vec<OwnedFd> = Vec::new();
        let refused = loop {
            match ours.try_clone() {
                Ok(copy) => copies.push(copy.into()),
                Err(error) => break error,
            }
        };
        assert_eq!(refused.raw_os_error(), Some(libc::EMFILE));
        assert!(copies.len() < 32);
    });
    assert!(ended.status.success(), "{ended:?}");
}

fn spin() {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
    }
}

fn processor_time() {
    let ended = run(Sandbox::decoder().cpu(Duration::from_millis(300)), spin);
    assert_eq!(ended.status.signal(), Some(libc::SIGXCPU), "{ended:?}");
}

fn processor_time_ignored() {
    let ended = run(Sandbox::decoder().cpu(Duration::from_secs(1)), || {
        native::ignore(libc::SIGXCPU);
        spin();
    });
    assert_eq!(ended.status.signal(), Some(libc::SIGKILL), "{ended:?}");
}

fn stack() {
    fn deep(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 512]);
        if depth == u64::MAX { 0 } else { deep(depth + 1) + frame[depth as usize % 512] }
    }
    let ended = run(Sandbox::decoder(), || {
        std::hint::black_box(deep(0));
    });
    let signal = ended.status.signal();
    assert!(matches!(signal, Some(libc::SIGABRT | libc::SIGSEGV)), "{ended:?}");
}
