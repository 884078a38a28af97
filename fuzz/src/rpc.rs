//! Octets of a worker that has gone bad, as an app reads them: typed messages.
//!
//! `make fuzz` runs it. To keep what a long run has found, merge it into the corpus:
//! `make fuzz AT=rpc FUZZ='-merge=1 fuzz/corpus/rpc'`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| tine::__private::fuzz_rpc(octets));
