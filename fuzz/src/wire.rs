//! Octets of a peer, in both directions: what a template and a process decode, and what the app does.
//!
//! `make fuzz` runs it. To keep what a long run has found, merge it into the corpus:
//! `make fuzz AT=wire FUZZ='-merge=1 fuzz/corpus/wire'`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| tine::__private::fuzz_wire(octets));
