//! Flow 2: a sandbox and a posture as octets, for the way between app and worker, without I/O.
//!
//! Both ends are the same build (the command socket makes sure of it), so there is no version here.

use super::{Hold, Posture, Rung, Sandbox, posture::Step};
use crate::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Takes fields off the front of octets; every refusal names what they should have been.
struct Fields<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn garbage(&self, how: &str) -> Error {
        Error::new(ErrorKind::Protocol, format!("octets of a {}: {how}", self.what))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) =
            self.rest.split_first_chunk().ok_or_else(|| self.garbage("too short"))?;
        self.rest = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn counted(&mut self) -> Result<&'a [u8]> {
        let len = u32::from_le_bytes(self.array()?) as usize;
        let (head, rest) =
            self.rest.split_at_checked(len).ok_or_else(|| self.garbage("too short"))?;
        self.rest = rest;
        Ok(head)
    }

    fn rung(&mut self) -> Result<Rung> {
        let octet = self.u8()?;
        Rung::from_octet(octet).ok_or_else(|| self.garbage("no such rung"))
    }

    fn hold(&mut self) -> Result<Hold> {
        let octet = self.u8()?;
        Hold::from_octet(octet).ok_or_else(|| self.garbage("a rung holds fully, partly or not"))
    }
}

impl Sandbox {
    /// Puts the sandbox into octets: about 50, and the names of the folders.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.rungs.to_le_bytes().to_vec();
        for limit in [self.memory, self.cpu, self.descriptors, self.file_size] {
            out.extend(limit.to_le_bytes());
        }
        out.push(u8::from(self.threads));
        out.push(self.required.len() as u8);
        for (rung, hold) in &self.required {
            out.extend([*rung as u8, *hold as u8]);
        }
        for folder in &self.folders {
            let name = folder.as_os_str().as_bytes();
            out.extend((name.len() as u32).to_le_bytes());
            out.extend(name);
        }
        out
    }

    /// Reads what [`encode`](Sandbox::encode) wrote.
    ///
    /// Allocates in proportion to the octets given, whatever they say.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when they are anything else.
    pub fn decode(octets: &[u8]) -> Result<Sandbox> {
        let mut fields = Fields { what: "sandbox", rest: octets };
        let mut sandbox =
            Sandbox { rungs: u32::from_le_bytes(fields.array()?), ..Sandbox::default() };
        if sandbox.rungs >> Rung::ALL.len() != 0 {
            return Err(fields.garbage("no such rung"));
        }
        sandbox.memory = fields.u64()?;
        sandbox.cpu = fields.u64()?;
        sandbox.descriptors = fields.u64()?;
        sandbox.file_size = fields.u64()?;
        sandbox.threads = fields.u8()? != 0;
        for _ in 0..fields.u8()? {
            sandbox.required.insert(fields.rung()?, fields.hold()?);
        }
        while !fields.rest.is_empty() {
            let name = OsString::from_vec(fields.counted()?.to_vec());
            sandbox.folders.push(PathBuf::from(name));
        }
        Ok(sandbox)
    }
}

impl Posture {
    /// The longest that [`encode`](Posture::encode) gives: what the app needs to accept, in octets.
    pub const ENCODED_MAX: usize = Rung::ALL.len() * (6 + Step::DETAIL_MAX);

    /// Puts the posture into octets, [`ENCODED_MAX`](Posture::ENCODED_MAX) at most.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.steps.len() * 40);
        for step in &self.steps {
            out.extend([step.rung as u8, step.hold as u8]);
            out.extend((step.detail.len() as u32).to_le_bytes());
            out.extend(step.detail.as_bytes());
        }
        out
    }

    /// Reads what [`encode`](Posture::encode) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when they are anything else: a rung twice or out of order, text that is
    /// too long, not UTF-8, or meant for a terminal rather than a reader.
    pub fn decode(octets: &[u8]) -> Result<Posture> {
        let mut fields = Fields { what: "posture", rest: octets };
        let mut posture = Posture::default();
        while !fields.rest.is_empty() {
            let (rung, hold) = (fields.rung()?, fields.hold()?);
            if posture.steps.last().is_some_and(|last| last.rung >= rung) {
                return Err(fields.garbage("the rungs are out of order"));
            }
            let text = std::str::from_utf8(fields.counted()?);
            let detail = text.map_err(|_| fields.garbage("a detail is no text"))?;
            if detail.len() > Step::DETAIL_MAX || detail.contains(char::is_control) {
                return Err(fields.garbage("a detail is not of ours"));
            }
            posture.steps.push(Step { rung, hold, detail: detail.to_owned() });
        }
        Ok(posture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sandboxes() -> [Sandbox; 4] {
        [
            Sandbox::new(),
            Sandbox::decoder().cpu(Duration::from_secs(3)).threads().without(Rung::OomFirst),
            Sandbox::reader("/some where/été").read_folder("/b").require(Rung::Files, Hold::Partly),
            Sandbox::strict().namespaces().require(Rung::Seccomp, Hold::Full),
        ]
    }

    fn posture() -> Posture {
        let mut posture = Posture::default();
        posture.push(Rung::Files, Hold::Partly, "Landlock ABI 2");
        posture.push(Rung::Memory, Hold::Full, "");
        posture.push(Rung::Seccomp, Hold::Missing, "é".repeat(Step::DETAIL_MAX));
        posture
    }

    #[test]
    fn what_is_encoded_comes_back() {
        for sandbox in sandboxes() {
            assert_eq!(Sandbox::decode(&sandbox.encode()).unwrap(), sandbox);
        }
        let octets = posture().encode();
        assert!(octets.len() <= Posture::ENCODED_MAX);
        assert_eq!(Posture::decode(&octets).unwrap(), posture());
    }

    #[test]
    fn octets_cut_short_are_refused() {
        let octets = Sandbox::reader("/folder").encode();
        // A folder fewer is a sandbox as well: the cut that takes exactly the last one away.
        let whole = octets.len() - "/folder".len() - 4;
        for len in (0..octets.len()).filter(|len| *len != whole) {
            let error = Sandbox::decode(&octets[..len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
    }

    #[test]
    fn a_posture_of_garbage_is_refused() {
        let of = |rung: u8, hold: u8, text: &[u8]| {
            [&[rung, hold], &(text.len() as u32).to_le_bytes()[..], text].concat()
        };
        assert!(Posture::decode(&of(0, 2, b"fine")).is_ok());
        let long = "x".repeat(Step::DETAIL_MAX + 1);
        let twice = [of(3, 2, b""), of(3, 2, b"")].concat();
        for octets in [
            of(99, 2, b""),
            of(0, 3, b""),
            of(0, 0, b"\x1b[2J"),
            of(0, 0, b"\xff"),
            of(0, 0, long.as_bytes()),
            twice,
            vec![0, 0, 9, 0, 0, 0, b'x'],
        ] {
            assert_eq!(Posture::decode(&octets).unwrap_err().kind(), ErrorKind::Protocol);
        }
    }
}
