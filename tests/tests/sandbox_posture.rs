//! B8: what a sandbox tells of itself is true, on kernels that have and that lack the rungs.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::sync::mpsc;

use tine::{ErrorKind, Hold, Posture, Rung, Sandbox, Template};
use tine_tests::confined::{self, Lacking};
use tine_tests::told::Told;
use tine_tests::workers::RETURN;

fn main() {
    for (name, test) in [
        ("a_process_from_outside_is_as_it_said", from_outside as fn()),
        ("an_unconfined_process_from_outside", unconfined),
        ("a_process_that_is_not_there", not_there),
        ("without_landlock", without_landlock),
        ("without_landlock_enabled", without_landlock_enabled),
        ("each_older_landlock", older_landlock),
        ("a_worker_on_an_old_kernel_is_refused_or_told", old_kernel),
        ("without_seccomp", without_seccomp),
        ("where_everything_is_refused_the_worker_works", everything_refused),
        ("a_minimum_names_the_rung_and_why", minimum),
        ("what_holds_for_one_thread_only_is_partly", threads),
        ("namespaces_have_no_network_or_say_why", namespaces),
        ("rungs_taken_off_are_not_climbed", taken_off),
    ] {
        confined::as_each_user(test);
        println!("test {name} ... ok");
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

fn from_outside() {
    let sandbox = Sandbox::decoder();
    let started = confined::start(Some(&sandbox), &Lacking::nothing(), |mut socket| {
        socket.read_exact(&mut [0]).expect("to be let go");
    });
    let said = started.posture().clone();
    let seen = Posture::of(started.pid).expect("works");
    println!("{said}");
    for (rung, hold, _) in seen.rungs() {
        // The limit is seen, and that it does not count for root is not.
        let expected = if rung == Rung::Processes { Hold::Full } else { said.hold(rung) };
        assert_eq!(hold, expected, "{rung}: said\n{said}\nseen\n{seen}");
    }
    assert_eq!(seen.rungs().count(), if is_root() { 10 } else { 11 }, "{seen}");
    for rung in [Rung::NoNewPrivs, Rung::Seccomp, Rung::Memory, Rung::OomFirst, Rung::Cpu] {
        assert_eq!(seen.hold(rung), Hold::Full, "{seen}");
    }
    (&started.socket).write_all(b"x").expect("works");
    assert!(started.end().status.success());
}

fn unconfined() {
    let started = confined::start(None, &Lacking::nothing(), |mut socket| {
        socket.read_exact(&mut [0]).expect("to be let go");
    });
    let seen = Posture::of(started.pid).expect("works");
    let rungs = [Rung::OomFirst, Rung::NoNewPrivs, Rung::Seccomp, Rung::Memory, Rung::Cpu];
    for rung in rungs.into_iter().chain((!is_root()).then_some(Rung::Undumpable)) {
        assert_eq!(seen.hold(rung), Hold::Missing, "{seen}");
    }
    (&started.socket).write_all(b"x").expect("works");
    started.end();
}

fn not_there() {
    // Process ids end at 2²².
    let error = Posture::of(1 << 23).expect_err("refused");
    assert_eq!(error.io().expect("works").kind(), std::io::ErrorKind::NotFound, "{error}");
}

fn posture(lacking: &Lacking) -> Posture {
    let ended = confined::run(&Sandbox::decoder(), lacking, |_| ());
    assert!(ended.status.success(), "{ended:?}");
    ended.posture
}

const LANDLOCK: [Rung; 3] = [Rung::Files, Rung::Network, Rung::Scopes];

fn without_landlock() {
    let (bare, posture) = (posture(&Lacking::nothing()), posture(&Lacking::landlock()));
    for (rung, hold, detail) in posture.rungs() {
        if LANDLOCK.contains(&rung) {
            assert_eq!(hold, Hold::Missing, "{posture}");
            assert!(detail.contains("no Landlock"), "{posture}");
        } else {
            assert_eq!(hold, bare.hold(rung), "{posture}");
        }
    }
}

fn without_landlock_enabled() {
    let posture = posture(&Lacking::landlock_enabled());
    for rung in LANDLOCK {
        assert_eq!(posture.hold(rung), Hold::Missing, "{posture}");
        let detail = posture.detail(rung).expect("a reason");
        assert!(detail.contains("not enabled"), "{posture}");
    }
}

/// landlock(7): what each ABI lacks is told, and a minimum above it refused.
fn older_landlock() {
    let own = posture(&Lacking::nothing());
    let Some(own) = own.detail(Rung::Files).and_then(|detail| {
        let number = detail.strip_prefix("Landlock ABI ")?;
        number.split(',').next()?.parse::<u8>().ok()
    }) else {
        return println!("this kernel has no Landlock that could be older");
    };
    for abi in 1..=own.min(7) {
        let ended = confined::run(&Sandbox::decoder(), &Lacking::landlock_after(abi), |_| {
            assert!(File::open("/etc/passwd").is_err());
        });
        assert!(ended.status.success(), "{abi}: {ended:?}");
        let posture = ended.posture;
        let expected = match abi {
            ..3 => [Hold::Partly, Hold::Missing, Hold::Missing],
            3 => [Hold::Full, Hold::Missing, Hold::Missing],
            4 | 5 => [Hold::Full, Hold::Full, Hold::Missing],
            6.. => [Hold::Full; 3],
        };
        assert_eq!(LANDLOCK.map(|rung| posture.hold(rung)), expected, "{posture}");
        for (rung, hold) in LANDLOCK.into_iter().zip(expected) {
            let sandbox = Sandbox::decoder().require(rung, Hold::Full);
            let Err(error) = sandbox.check(&posture) else {
                assert_eq!(hold, Hold::Full, "{posture}");
                continue;
            };
            assert_eq!(error.kind(), ErrorKind::Sandbox);
            let text = error.to_string();
            assert!(
                text.contains(&format!("{rung}")) && text.contains(&format!("ABI {abi}")),
                "{text}"
            );
        }
    }
}

/// What the kernel lacks is told by the worker's posture, and who requires it gets no worker but an error that names
/// the rung; the template and the app go on.
fn old_kernel() {
    let ended = confined::start(None, &Lacking::landlock(), |mut socket| {
        let template = Template::early().expect("one thread");
        let worker = |sandbox| Told::run(template.fork().sandbox(&sandbox), RETURN);
        for rung in LANDLOCK {
            let told = worker(Sandbox::decoder().require(rung, Hold::Partly));
            let error = told.refusal();
            assert_eq!(error.kind(), ErrorKind::Sandbox, "{error}");
            let text = error.to_string();
            assert!(text.contains(&rung.to_string()) && text.contains("no Landlock"), "{text}");
            assert!(!told.exit().success());
        }
        let told = worker(Sandbox::decoder().require(Rung::Seccomp, Hold::Full));
        drop(told.socket());
        let posture = told.running().posture().expect("a posture");
        assert_eq!(posture.hold(Rung::Files), Hold::Missing, "{posture}");
        assert!(told.exit().success());
        socket.write_all(b"it goes on").expect("write");
    })
    .end();
    assert_eq!(ended.answer, b"it goes on", "{ended:?}");
    assert!(ended.status.success(), "{ended:?}");
}

fn without_seccomp() {
    let (bare, posture) = (posture(&Lacking::nothing()), posture(&Lacking::seccomp()));
    for (rung, hold, detail) in posture.rungs() {
        if rung == Rung::Seccomp {
            assert_eq!(hold, Hold::Missing, "{posture}");
            assert!(detail.contains("Operation not permitted"), "{posture}");
        } else {
            assert_eq!(hold, bare.hold(rung), "{posture}");
        }
    }
}

fn everything_refused() {
    for (errno, reason) in
        [(libc::EPERM, "Operation not permitted"), (libc::ENOSYS, "Function not implemented")]
    {
        let lacking = Lacking::everything(errno);
        let ended = confined::run(&Sandbox::decoder().namespaces(), &lacking, |mut socket| {
            socket.write_all(b"it works").expect("write");
        });
        assert_eq!(ended.answer, b"it works");
        for (rung, hold, detail) in ended.posture.rungs() {
            assert_eq!(hold, Hold::Missing, "{rung}");
            let named = detail.contains(reason) || LANDLOCK.contains(&rung);
            assert!(named, "{rung} with {reason}: {detail}");
        }
        assert_eq!(ended.posture.rungs().count(), Rung::ALL.len());
    }
}

fn minimum() {
    let sandbox = Sandbox::decoder().require(Rung::Seccomp, Hold::Full);
    sandbox.check(&posture(&Lacking::nothing())).expect("works");
    let error = sandbox.check(&posture(&Lacking::seccomp())).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Sandbox);
    let text = error.to_string();
    assert!(text.starts_with("sandbox: seccomp is missing: Operation not permitted"), "{text}");
}

fn threads() {
    let ended = confined::run_free(|mut socket| {
        let (go, wait) = mpsc::channel();
        let other = std::thread::spawn(move || {
            wait.recv().expect("the sandbox is on");
            File::open("/etc/passwd").map(drop).map_err(|error| error.raw_os_error())
        });
        let posture = Sandbox::decoder().threads().apply();
        go.send(()).expect("it waits");
        // The filter, which is on all threads, refuses with EPERM and Landlock would with EACCES.
        assert_eq!(other.join().expect("no panic"), Err(Some(libc::EPERM)));
        socket.write_all(&posture.encode()).expect("write");
    });
    let posture = Posture::decode(&ended.answer).expect("works");
    assert_eq!(posture.hold(Rung::Capabilities), Hold::Partly, "{posture}");
    assert_eq!(posture.hold(Rung::NoNewPrivs), Hold::Full, "{posture}");
    assert_eq!(posture.detail(Rung::Capabilities), Some("for one of the 2 threads"));
}

fn namespaces() {
    let sandbox = Sandbox::new().namespaces();
    let ended = confined::run(&sandbox, &Lacking::nothing(), |mut socket| {
        let network = fs::read_to_string("/proc/self/net/dev").expect("interfaces");
        // Two lines of headings; then `lo`, which is down.
        socket.write_all(&[network.lines().count() as u8 - 2]).expect("write");
        let up = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| std::net::TcpStream::connect(listener.local_addr()?));
        assert!(up.is_err(), "not even lo");
    });
    match ended.posture.hold(Rung::Namespaces) {
        Hold::Full => {
            assert!(ended.status.success(), "{ended:?}");
            assert_eq!(ended.answer, [1]);
        }
        _ => assert!(ended.posture.detail(Rung::Namespaces).is_some(), "{}", ended.posture),
    }
}

fn taken_off() {
    let none = Rung::ALL.into_iter().fold(Sandbox::decoder(), Sandbox::without);
    let ended = confined::run(&none, &Lacking::nothing(), |_| {
        File::open("/etc/passwd").expect("a file");
    });
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.posture, Posture::default());
    // Seccomp rests on it.
    let filter = Rung::ALL.into_iter().filter(|rung| *rung != Rung::Seccomp);
    let filter = filter.fold(Sandbox::decoder(), Sandbox::without);
    let posture = confined::run(&filter, &Lacking::nothing(), |_| ()).posture;
    let rungs: Vec<_> = posture.rungs().map(|(rung, ..)| rung).collect();
    assert_eq!(rungs, [Rung::NoNewPrivs, Rung::Seccomp]);
}
