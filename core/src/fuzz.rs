//! Flow 2, between the sides: what a peer may have made of the octets that one side reads.
//!
//! Templates, processes and the app decode what comes from each other; a worker that has gone bad may
//! send anything. What decodes must be what its encoding says, and nothing may panic.

use crate::wire::{HEADER, Header, LastWords, Message};
use crate::{Posture, Sandbox};

/// Decodes octets as each thing that travels, and encodes again what was understood.
///
/// # Panics
/// When something decodes and its encoding differs: what a fuzzer looks for.
pub fn fuzz_wire(octets: &[u8]) {
    if let Some((header, body)) = octets.split_first_chunk() {
        message(header, body);
    }
    last_words(octets);
    if let Ok(sandbox) = Sandbox::decode(octets) {
        assert_eq!(Sandbox::decode(&sandbox.encode()).ok(), Some(sandbox));
    }
    if let Ok(posture) = Posture::decode(octets) {
        assert_eq!(posture.encode(), octets);
        assert!(octets.len() <= Posture::ENCODED_MAX);
    }
}

fn message(head: &[u8; HEADER], body: &[u8]) {
    let Ok(header) = Header::decode(head) else { return };
    assert_eq!(header.encode(), *head);
    let Ok(message) = Message::decode(header, body) else { return };
    let (octets, apart) = message.encode(header.id, header.fds.into());
    match apart {
        Some(apart) => assert_eq!(apart, body),
        None => assert_eq!(octets[HEADER..], *body),
    }
    if !header.long {
        assert_eq!(octets[..HEADER], *head);
    }
}

fn last_words(octets: &[u8]) {
    let Ok(last) = LastWords::decode(octets) else { return };
    let packet = LastWords::encode(last.how, last.text);
    // A packet that is full may have lost the text's end.
    if packet.len() < LastWords::MAX {
        assert_eq!(LastWords::strip(&packet), Some(octets));
    }
}

/// Numbers that look random (Marsaglia's xorshift).
#[cfg(test)]
pub(crate) struct Chance(pub u64);

#[cfg(test)]
impl Chance {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    pub fn change(&mut self, octets: &mut Vec<u8>, others: &[Vec<u8>]) {
        let at = self.below(octets.len() + 1);
        match self.below(5) {
            0 => octets.truncate(at),
            1 => octets.insert(at, self.below(256) as u8),
            2 => octets.extend(&others[self.below(others.len())]),
            3 if at < octets.len() => drop(octets.remove(at)),
            _ if at < octets.len() => {
                octets[at] = [0, 1, 2, 0x7f, 0x80, 0xff, self.below(256) as u8][self.below(7)];
            }
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::golden;
    use crate::{Hold, Rung};

    /// Messages of each kind, changed in a few places: a quick form of `make fuzz`, the same every time.
    #[test]
    fn nothing_that_is_decoded_differs_from_its_encoding() {
        let sandbox = Sandbox::reader("/folder").require(Rung::Files, Hold::Partly);
        let mut seeds: Vec<_> = golden::all().into_iter().chain([sandbox.encode()]).collect();
        seeds.push(vec![0, 2, 4, 0, 0, 0, b'f', b'i', b'n', b'e', 3, 0, 0, 0, 0, 0]);
        let mut chance = Chance(0x7469_6e65);
        for _ in 0..200_000 {
            let mut octets = seeds[chance.below(seeds.len())].clone();
            for _ in 0..1 + chance.below(3) {
                chance.change(&mut octets, &seeds);
            }
            if chance.below(2) == 0 && octets.len() >= HEADER {
                // A length that fits, or nearly all would be refused for that.
                let len = (octets.len() - HEADER) as u32;
                octets[4..8].copy_from_slice(&len.to_le_bytes());
            }
            fuzz_wire(&octets);
        }
    }
}
