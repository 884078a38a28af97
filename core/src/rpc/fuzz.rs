//! Flow 2, typed: what the app reads from workers, made of octets that a worker that has gone bad may send.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::net::RecvFlags;
use serde::{Deserialize, Serialize};

use super::frame::{Header, Hello, Kind};
use super::inbox::{Found, Inbox};
use super::{Fd, Format};

/// Values of most shapes.
#[derive(Serialize, Deserialize, Debug)]
enum Sample {
    Empty,
    Numbers(u8, i16, u64, f64, bool, char),
    Texts { name: String, more: Vec<String>, by_number: BTreeMap<u32, String> },
    Files(Option<Fd>, Vec<Fd>),
}

/// Reads octets as a worker's messages, and encodes again what was understood.
///
/// # Panics
/// When something is understood and its encoding differs: what a fuzzer looks for.
pub fn fuzz_rpc(octets: &[u8]) {
    let (near, mut far) = UnixStream::pair().expect("a socket pair");
    // What a socket holds at a time is enough to be read in several pieces.
    far.set_nonblocking(true).expect("a socket");
    let sent = far.write(octets).unwrap_or(0);
    drop(far);
    let (mut inbox, mut at) = (Inbox::new(1 << 20), 0);
    while let Ok(Found::Octets) = inbox.receive(&near, RecvFlags::DONTWAIT) {
        loop {
            let frame = match inbox.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => return,
            };
            let whole = [&frame.header.encode()[..], frame.body].concat();
            assert_eq!(whole, octets[at..at + whole.len()]);
            at += whole.len();
            understand(frame.header, frame.body);
        }
    }
    assert!(at <= sent);
}

fn understand(header: Header, body: &[u8]) {
    if header.kind == Kind::Hello {
        if let Ok(hello) = Hello::decode(header, body)
            && !hello.build.contains('\0')
        {
            let again = hello.encode();
            let (head, body) = again.split_first_chunk().expect("a header");
            let header = Header::decode(head, usize::MAX).expect("a header of ours");
            assert_eq!(Hello::decode(header, body).expect("a greeting of ours").entry, hello.entry);
        }
        return;
    }
    for format in [Format::Postcard, Format::Json] {
        // More than a value of that size may have, as a worker may send.
        let fds = (0..2).filter_map(|_| null()).collect();
        let Ok(sample) = format.decode::<Sample>(body, fds) else { continue };
        let mut again = Vec::new();
        let fds = format.encode(&sample, &mut again).expect("what was decoded");
        let fds = fds.iter().filter_map(|_| null()).collect();
        let twice = format.decode::<Sample>(&again, fds).expect("what was encoded");
        let mut encoded = Vec::new();
        format.encode(&twice, &mut encoded).expect("what was decoded");
        assert_eq!(again, encoded);
    }
}

fn null() -> Option<OwnedFd> {
    std::fs::File::open("/dev/null").ok().map(OwnedFd::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::Chance;

    fn message(kind: Kind, fds: usize, value: &Sample, format: Format) -> Vec<u8> {
        let mut body = Vec::new();
        format.encode(value, &mut body).expect("a value");
        let header = Header { kind, fds, len: body.len(), id: 7 };
        [&header.encode()[..], &body].concat()
    }

    fn seeds() -> Vec<Vec<u8>> {
        let hello =
            Hello { format: Format::Json, entry: "crate::entry".into(), build: "tine 1".into() };
        let texts = Sample::Texts {
            name: "a name".into(),
            more: vec!["more".into(); 3],
            by_number: [(1, "one".into()), (1000, "thousand".into())].into(),
        };
        let numbers = Sample::Numbers(1, -2, 1 << 40, 0.5, true, 'ä');
        let files = || {
            let fd = || Fd::from(null().expect("/dev/null"));
            Sample::Files(Some(fd()), vec![fd()])
        };
        let formats = [Format::Postcard, Format::Json];
        let messages = formats.into_iter().flat_map(|format| {
            [
                message(Kind::Reply, 0, &texts, format),
                message(Kind::Event, 0, &numbers, format),
                message(Kind::Part, 2, &files(), format),
                message(Kind::Failed, 0, &Sample::Empty, format),
            ]
        });
        messages.chain([hello.encode()]).collect()
    }

    /// B11: messages changed in a few places: a quick form of `make fuzz`, the same every time.
    #[test]
    fn nothing_that_is_read_differs_from_what_was_sent() {
        let seeds = seeds();
        let mut chance = Chance(0x7469_6e65);
        for _ in 0..20_000 {
            let mut octets = seeds[chance.below(seeds.len())].clone();
            for _ in 0..1 + chance.below(3) {
                chance.change(&mut octets, &seeds);
            }
            fuzz_rpc(&octets);
        }
    }

    /// The seeds are understood: otherwise nothing above means much.
    #[test]
    fn what_is_not_changed_is_understood() {
        for seed in seeds() {
            let (head, body) = seed.split_first_chunk().expect("a header");
            let header = Header::decode(head, 1000).expect("a header");
            assert_eq!(header.len, body.len());
            if header.kind == Kind::Hello {
                Hello::decode(header, body).expect("a greeting");
                continue;
            }
            let fds = (0..header.fds).filter_map(|_| null()).collect::<Vec<_>>();
            let postcard = Format::Postcard.decode::<Sample>(body, fds);
            let fds = (0..header.fds).filter_map(|_| null()).collect();
            let json = Format::Json.decode::<Sample>(body, fds);
            assert!(postcard.is_ok() || json.is_ok(), "{postcard:?} {json:?}");
        }
    }
}
