//! B8: what a worker can use up inside the sandbox, and that it ends there.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use rustix::fs::{FallocateFlags, MemfdFlags, memfd_create};
use tine::Sandbox;
use tine_tests::confined::{self, Ended, Lacking};
use tine_tests::native;

const MIB: usize = 1 << 20;
const LIMIT: u64 = 64 << 20;

fn main() {
    for (name, test) in [
        ("memory_ends_the_process_at_its_limit", memory as fn()),
        ("memory_beyond_the_limit_is_refused_to_who_asks", memory_asked_for),
        ("memory_of_files_counts_when_it_is_mapped", memory_mapped),
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
