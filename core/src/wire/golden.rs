//! The octets of every message, fixed: a change here is another [`VERSION`](super::VERSION).

use super::*;

/// A message with an id and a number of descriptors, and its octets in hex.
type Golden = (Message<'static>, u64, usize, &'static str);

fn golden() -> Vec<Golden> {
    let state = State { umask: 0o22, locale: b"C.UTF-8", environment: b"A=1\0" };
    let ended = Ended {
        pid: 7,
        status: 9,
        user_us: 1,
        system_us: 2,
        peak_kib: 3,
        lived_us: 4,
        unexecuted: true,
        spare: true,
        last_words: b"w",
        stderr: b"err",
    };
    let execute = Execute {
        program: b"ls",
        arg0: Some(b"l"),
        args: vec![b"-a", b""],
        clear_environment: true,
        environment: vec![(b"A", Some(b"1")), (b"B", None)],
        directory: None,
        process_group: Some(0),
        new_session: false,
        dies_with_app: true,
        standard: [Given::Inherit, Given::Null, Given::Fd],
        places: vec![9],
    };
    let call = Message::Call { function: b"m::f", args: vec![b"x", b""] };
    vec![
        (Message::Connect, 0, 1, "01 01 0100 00000000 0000000000000000"),
        (
            Message::State(state),
            0,
            1,
            "01 02 0100 17000000 0000000000000000 \
             12000000 07000000432e5554462d38 04000000413d3100",
        ),
        (
            Message::Fork(Waiting { octets: 300, plain: true, executes: false }),
            5,
            1,
            "01 03 0100 06000000 0500000000000000 \
             2c010000 01 00",
        ),
        (
            Message::Spares { count: 4 },
            0,
            0,
            "01 04 0000 04000000 0000000000000000 \
             04000000",
        ),
        (Message::Exec, 6, 1, "01 05 0100 00000000 0600000000000000"),
        (Message::Begin, 0, 0, "01 06 0000 00000000 0000000000000000"),
        #[cfg(feature = "testing")]
        (inject(), 0, 0, "01 07 0000 0a000000 0000000000000000 02000000 03000000 03 01"),
        (
            Message::Signal { signal: 9 },
            5,
            0,
            "01 08 0000 04000000 0500000000000000 \
             09000000",
        ),
        (
            Message::Started { pid: 0x0102_0304, spare: true },
            5,
            1,
            "01 10 0100 05000000 0500000000000000 \
             04030201 01",
        ),
        (
            Message::Refused { errno: 11, what: b"fork" },
            5,
            0,
            "01 11 0000 08000000 0500000000000000 \
             0b000000 666f726b",
        ),
        (
            Message::Ended(ended),
            0x0102_0304_0506_0708,
            0,
            "01 12 0000 36000000 0807060504030201 \
             07000000 09000000 0100000000000000 0200000000000000 0300000000000000 0400000000000000 \
             01 01 0100000077 03000000657272",
        ),
        (Message::Retired, 0, 0, "01 13 0000 00000000 0000000000000000"),
        (
            Message::Arg(b"a\0b"),
            0,
            0,
            "01 20 0000 03000000 0000000000000000 \
             610062",
        ),
        (Message::Fds, 0, 253, "01 21 fd00 00000000 0000000000000000"),
        (
            call,
            0,
            0,
            "01 22 0000 11000000 0000000000000000 \
             040000006d3a3a66 0100000078 00000000",
        ),
        (
            Message::Load { path: b"/p.so" },
            0,
            1,
            "01 23 0100 05000000 0000000000000000 \
             2f702e736f",
        ),
        (Message::Link, 0, 1, "01 24 0100 00000000 0000000000000000"),
        (
            Message::Run { report: true, entry: b"m::e" },
            0,
            0,
            "01 25 0000 05000000 0000000000000000 \
             01 6d3a3a65",
        ),
        (Message::Serve, 0, 0, "01 26 0000 00000000 0000000000000000"),
        (
            Message::Execute(execute),
            0,
            2,
            "01 27 0200 4b000000 0000000000000000 \
             020000006c73 01010000006c 02000000 020000002d61 00000000 01 02000000 \
             0100000041010100000031 01000000420000000000 0000000000 01 00000000 00 01 00 01 02 \
             01000000 09000000",
        ),
        (
            Message::Part(b"begin"),
            0,
            0,
            "01 28 0000 05000000 0000000000000000 \
             626567696e",
        ),
        (
            Message::Sandbox(b"\x01"),
            0,
            0,
            "01 29 0000 01000000 0000000000000000 \
             01",
        ),
        (
            Message::Ready { posture: b"\x02" },
            0,
            0,
            "01 30 0000 01000000 0000000000000000 \
             02",
        ),
    ]
}

#[cfg(feature = "testing")]
fn inject() -> Message<'static> {
    use crate::testing::{Faults, Stage};
    Message::Inject(Faults::new().refuse_forks(2).kill_at(Stage::Entering, 3).short_of_memory())
}

/// Last words as they stand in a worker's standard error.
const LAST_WORDS: &str = "0074696e65006c61737400776f72647300 \
    01 40 0000 03000000 0000000000000000 02 6e6f";

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The octets of all of them, and of last words without their mark.
pub(crate) fn all() -> Vec<Vec<u8>> {
    let last = octets(LAST_WORDS);
    let last = LastWords::strip(&last).expect("marked").to_vec();
    golden().into_iter().map(|(.., hex)| octets(hex)).chain([last]).collect()
}

fn decode(octets: &[u8]) -> crate::Result<(Header, Message<'_>)> {
    let (head, body) = octets.split_first_chunk().expect("a header");
    let header = Header::decode(head)?;
    Ok((header, Message::decode(header, body)?))
}

#[test]
fn messages_have_their_octets() {
    for (message, id, fds, golden) in golden() {
        let (written, apart) = message.encode(id, fds);
        assert_eq!((hex(&written), apart), (hex(&octets(golden)), None), "{message:?}");
        let (header, read) = decode(&written).unwrap();
        assert_eq!((header.id, usize::from(header.fds), read), (id, fds, message));
    }
}

#[test]
fn last_words_have_their_octets() {
    let written = LastWords::encode(How::Failed, b"no");
    assert_eq!(hex(&written), hex(&octets(LAST_WORDS)));
    let last = LastWords::decode(LastWords::strip(&written).unwrap()).unwrap();
    assert_eq!((last.how, last.text), (How::Failed, &b"no"[..]));
    assert_eq!(LastWords::strip(b"output of a program"), None);
    // Too long for a packet: the end is lost, and nothing else.
    let long = LastWords::encode(How::Panicked, &[b'x'; 9000]);
    assert_eq!(long.len(), LastWords::MAX);
    let last = LastWords::decode(LastWords::strip(&long).unwrap()).unwrap();
    assert!(last.how == How::Panicked && last.text.iter().all(|octet| *octet == b'x'));
}

/// The rows of the table at the top of [`super`]: code and name.
fn table() -> Vec<(u8, String)> {
    let rows = include_str!("mod.rs").lines().filter_map(|line| {
        let mut cells = line.strip_prefix("//! | ")?.split(" | ");
        let code = cells.next()?.parse().ok()?;
        Some((code, cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned()))
    });
    rows.collect()
}

#[test]
fn the_table_and_the_code_agree() {
    let name = |message: &Message<'_>| {
        let debug = format!("{message:?}");
        debug.split([' ', '(']).next().unwrap_or_default().to_owned()
    };
    let known: Vec<_> = golden()
        .into_iter()
        .map(|(message, .., golden)| (octets(golden)[1], name(&message)))
        .chain([(octets(LAST_WORDS)[LastWords::MARK.len() + 1], "LastWords".into())])
        .collect();
    // Without the feature there is no such message.
    let table = || -> Vec<_> {
        table().into_iter().filter(|row| cfg!(feature = "testing") || row.1 != "Inject").collect()
    };
    let mut sorted = table();
    assert!(sorted.is_sorted(), "{sorted:?}");
    sorted.dedup_by_key(|row| row.0);
    assert_eq!(sorted, table(), "a code twice");
    assert_eq!(table(), known);
    // What is not in the table is refused, whatever its body.
    for code in (0..LONG).filter(|code| !known.iter().any(|row| row.0 == *code)) {
        let header = Header { code, long: false, fds: 0, len: 0, id: 0 };
        assert_refused(Message::decode(header, b""), &format!("unknown code {code}"));
    }
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: crate::Result<T>, why: &str) {
    let error = result.expect_err("refused");
    assert_eq!(error.kind(), crate::ErrorKind::Protocol);
    assert!(error.to_string().contains(why), "{error}");
}

/// Sets a header's length to that of the body that is there.
fn fitting(mut octets: Vec<u8>) -> Vec<u8> {
    let len = (octets.len() - HEADER) as u32;
    octets[4..8].copy_from_slice(&len.to_le_bytes());
    octets
}

#[test]
fn a_plain_run_is_told_from_all_else() {
    let plain = Message::Run { report: false, entry: b"m::e" }.encode(0, 0).0;
    assert_eq!(Message::plain_run(&plain), Some(&b"m::e"[..]));
    assert_eq!(Message::plain_run(&[&plain[..], &plain].concat()), None);
    assert_eq!(Message::plain_run(&plain[..plain.len() - 1]), None);
    // The one `Run` among these wants a report.
    assert!(all().iter().all(|octets| Message::plain_run(octets).is_none()));
}

#[test]
fn bodies_that_do_not_fit_are_refused() {
    for octets in all() {
        let ending = octets[1] == 64;
        let decode = |octets: &[u8]| match ending {
            true => LastWords::decode(octets).map(drop),
            false => decode(octets).map(drop),
        };
        decode(&octets).unwrap();
        let longer = [&octets[..], b"\0"].concat();
        // The header tells another length than there is.
        assert_refused(decode(&longer), "");
        if octets.len() > HEADER {
            assert_refused(decode(&octets[..octets.len() - 1]), "");
        }
        // It tells the truth, and the fields do not: those that end with the body take any.
        let open_end = matches!(octets[1], 17 | 32 | 35 | 37 | 40 | 41 | 48 | 64);
        if !open_end {
            assert_refused(decode(&fitting(longer)), "too");
        }
        for len in HEADER..octets.len() {
            let short = decode(&fitting(octets[..len].to_vec()));
            // A call may end behind each of its arguments.
            assert!(short.is_err() || open_end || octets[1] == 34, "{len} of {octets:?}");
        }
    }
}

#[test]
fn another_version_is_refused() {
    for version in [0, 2, 255] {
        let mut octets = octets(golden()[0].3);
        octets[0] = version;
        assert_refused(decode(&octets), &format!("version {version} instead of 1"));
    }
}

#[test]
fn a_process_tells_of_itself_as_the_table_says() {
    let started = Message::Started { pid: 0x0102_0304, spare: true };
    assert_eq!(Message::started(0x0102_0304, true, 5, 1)[..], started.encode(5, 1).0);
}

#[test]
fn counts_that_lie_end_with_the_octets() {
    let execute =
        octets(golden().iter().find(|row| matches!(row.0, Message::Execute(_))).unwrap().3);
    // So many arguments, variables, places: refused before anything of that size is allocated.
    for at in [HEADER + 12, HEADER + 27, execute.len() - 8] {
        let mut lying = execute.clone();
        assert_eq!(lying[at..at + 4].len(), 4);
        lying[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_refused(decode(&lying), "");
    }
    let mut state = octets(golden()[1].3);
    state[HEADER + 4..HEADER + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_refused(decode(&state), "too short");
}

#[test]
fn each_message_has_one_encoding() {
    let mut started =
        octets(golden().iter().find(|row| matches!(row.0, Message::Started { .. })).unwrap().3);
    *started.last_mut().unwrap() = 2;
    assert_refused(decode(&started), "neither 0 nor 1");
}

#[test]
fn headers_past_every_message_are_refused() {
    let header = |long, fds: usize, len: usize| {
        Header { code: Message::ARG, long, fds: fds as u16, len: len as u32, id: 0 }.encode()
    };
    assert!(Header::decode(&header(false, FDS_MAX, BODY_MAX)).is_ok());
    assert!(Header::decode(&header(true, 1, u32::MAX as usize)).is_ok());
    assert_refused(Header::decode(&header(false, 0, BODY_MAX + 1)), "65537 octets");
    assert_refused(Header::decode(&header(false, FDS_MAX + 1, 0)), "254 descriptors");
}

#[test]
fn long_bodies_travel_apart() {
    let body = vec![b'x'; BODY_MAX + 1];
    let (octets, apart) = Message::Arg(&body).encode(3, 0);
    assert_eq!(hex(&octets), hex(&self::octets("01 a0 0100 01000100 0300000000000000")));
    assert_eq!(apart.as_deref(), Some(&body[..]));
    let header = Header::decode(octets.first_chunk().unwrap()).unwrap();
    assert_eq!((header.long, header.inline()), (true, 0));
    assert_eq!(Message::decode(header, &body).unwrap(), Message::Arg(&body));
    // The longest that stands in its message does.
    let (octets, apart) = Message::Arg(&body[1..]).encode(3, 0);
    assert_eq!((octets.len(), apart), (HEADER + BODY_MAX, None));
}
