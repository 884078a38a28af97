//! Flow 2, in the worker: the seccomp program, and putting it on.
//!
//! The kernel runs a new program once for every number there is, to learn which it always allows, so
//! its length decides what a worker costs. A chain of comparisons, which is what `seccompiler` makes of
//! a table, is run through to its end each time: 150 calls take 0.6 ms to install. So the program is a
//! search tree over the numbers, a third of that, of which `seccompiler` gives what needs care: the check of the
//! architecture, the comparisons of arguments, and the way into the kernel.

use super::{Hold, Sandbox, apply::Outcome, calls};
use calls::When;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};
use std::collections::BTreeMap;

type Built<T> = Result<T, seccompiler::BackendError>;

/// Puts the sandbox's filter on all threads of this process.
pub(super) fn install(sandbox: &Sandbox) -> Outcome {
    let own = rustix::process::getpid().as_raw_nonzero().get().unsigned_abs();
    let program = match program(sandbox, own) {
        Ok(program) => program,
        Err(error) => return (Hold::Missing, error.to_string()),
    };
    match seccompiler::apply_filter_all_threads(&program) {
        Ok(()) => (Hold::Full, String::new()),
        Err(seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error)) => {
            (Hold::Missing, error.to_string())
        }
        Err(error) => (Hold::Missing, error.to_string()),
    }
}

/// What follows once the number is known.
#[derive(Clone, PartialEq)]
enum Leaf {
    Answer(SeccompAction),
    /// Refuses when one of these matches.
    Unless(Vec<SeccompRule>),
}

const ALLOW: Leaf = Leaf::Answer(SeccompAction::Allow);
const REFUSE: Leaf = Leaf::Answer(SeccompAction::Errno(libc::EPERM as u32));
const UNKNOWN: Leaf = Leaf::Answer(SeccompAction::Errno(libc::ENOSYS as u32));

fn program(sandbox: &Sandbox, own: u32) -> Built<BpfProgram> {
    let mut leaves: BTreeMap<u32, Leaf> = BTreeMap::new();
    for (call, argument, when) in calls::refused_when(sandbox, own) {
        let leaf = leaves.entry(call as u32).or_insert_with(|| Leaf::Unless(Vec::new()));
        if let Leaf::Unless(rules) = leaf {
            rules.extend(rules_of(argument, when)?);
        }
    }
    leaves.extend(calls::refused(sandbox).map(|call| (call as u32, REFUSE)));
    leaves.extend(calls::unknown(sandbox).into_iter().map(|call| (call as u32, UNKNOWN)));

    let mut program = head()?;
    tree(&ranges(leaves), &mut program);
    Ok(program)
}

/// The rules that match, any of them, when an argument is so.
fn rules_of(argument: u8, when: When) -> Built<Vec<SeccompRule>> {
    use SeccompCmpArgLen::{Dword, Qword};
    let rule = |len, operator, value| {
        SeccompRule::new(vec![SeccompCondition::new(argument, len, operator, value)?])
    };
    Ok(match when {
        When::Is(value) => vec![rule(Dword, SeccompCmpOp::Eq, value.into())?],
        When::IsNot(value) => vec![rule(Dword, SeccompCmpOp::Ne, value.into())?],
        When::Lacks(bits) => vec![rule(Dword, SeccompCmpOp::MaskedEq(bits.into()), 0)?],
        When::OfType(kind) => {
            vec![rule(Dword, SeccompCmpOp::MaskedEq(0xff00), u64::from(kind) << 8)?]
        }
        When::NotZero => vec![rule(Qword, SeccompCmpOp::Ne, 0)?],
        When::Has(bits) => {
            let each = (0..u32::BITS).map(|bit| u64::from(bits & 1 << bit)).filter(|bit| *bit != 0);
            each.map(|bit| rule(Dword, SeccompCmpOp::MaskedEq(bit), bit)).collect::<Built<_>>()?
        }
    })
}

/// Kills a call of another architecture, whose numbers mean other calls, and loads the number.
fn head() -> Built<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let empty = SeccompFilter::new(BTreeMap::new(), SeccompAction::Allow, refuse, arch)?;
    let mut program = BpfProgram::try_from(empty)?;
    program.pop(); // its answer
    program.push(instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0));
    Ok(program)
}

/// Numbers from each range's first up to the next's have its leaf; the last range has no end, so
/// x86-64's second set of numbers (x32, from 2³⁰) is unknown with all that is newer than the list.
fn ranges(leaves: BTreeMap<u32, Leaf>) -> Vec<(u32, Leaf)> {
    let mut ranges = vec![(0, ALLOW)];
    let mut add = |first: u32, leaf: Leaf| {
        // The number right after one that is refused: what was put there in advance gives way.
        ranges.pop_if(|(last, _)| *last == first);
        if ranges.last().is_none_or(|(_, last)| *last != leaf) {
            ranges.push((first, leaf));
        }
    };
    for (number, leaf) in leaves {
        add(number, leaf);
        add(number + 1, ALLOW);
    }
    add(calls::NEWEST as u32 + 1, UNKNOWN);
    ranges
}

/// Appends a search among ranges for the number that is loaded.
fn tree(ranges: &[(u32, Leaf)], program: &mut BpfProgram) {
    let (low, high) = match ranges {
        [] => return,
        [(_, leaf)] => return answer(leaf, program),
        _ => ranges.split_at(ranges.len() / 2),
    };
    let mut below = BpfProgram::new();
    tree(low, &mut below);
    let at_least = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    let first = high[0].0;
    match u8::try_from(below.len()) {
        Ok(len) => program.push(instruction(at_least, first, len, 0)),
        // Conditions jump no further than 255 instructions.
        Err(_) => program.extend([
            instruction(at_least, first, 0, 1),
            instruction(libc::BPF_JMP | libc::BPF_JA, below.len() as u32, 0, 0),
        ]),
    }
    program.append(&mut below);
    tree(high, program);
}

fn answer(leaf: &Leaf, program: &mut BpfProgram) {
    let end = |action: &SeccompAction| {
        instruction(libc::BPF_RET | libc::BPF_K, u32::from(action.clone()), 0, 0)
    };
    match leaf {
        Leaf::Answer(action) => program.push(end(action)),
        Leaf::Unless(rules) => {
            for rule in rules {
                program.append(&mut BpfProgram::from(rule.clone()));
                program.push(end(&SeccompAction::Errno(libc::EPERM as u32)));
            }
            program.push(end(&SeccompAction::Allow));
        }
    }
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rung;

    const OWN: u32 = 4242;
    const REFUSED: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    const ABSENT: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

    /// Runs a program as seccomp(2) says, on a call of this architecture.
    fn run(program: &[sock_filter], number: u32, args: [u64; 6]) -> u32 {
        let data = |offset: u32| match offset {
            0 => number,
            4 => program[1].k, // what the head compares the architecture with
            16.. => (args[(offset as usize - 16) / 8] >> (offset % 8 * 8)) as u32,
            _ => panic!("nothing is read at {offset}"),
        };
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let jump = |yes| usize::from(if yes { jt } else { jf });
            match u32::from(code) {
                0x20 => accumulator = data(k),
                0x54 => accumulator &= k,
                0x05 => at += k as usize,
                0x15 => at += jump(accumulator == k),
                0x25 => at += jump(accumulator > k),
                0x35 => at += jump(accumulator >= k),
                0x06 => return k,
                code => panic!("instruction {code:#x}"),
            }
        }
    }

    fn sandboxes() -> [Sandbox; 4] {
        [
            Sandbox::new(),
            Sandbox::decoder(),
            Sandbox::decoder().threads(),
            Sandbox::reader("/folder"),
        ]
    }

    #[test]
    fn every_number_gets_the_answer_of_the_table() {
        for sandbox in sandboxes() {
            let program = program(&sandbox, OWN).unwrap();
            let refused: Vec<_> = calls::refused(&sandbox).collect();
            let unknown = calls::unknown(&sandbox);
            let some: Vec<_> =
                calls::refused_when(&sandbox, OWN).into_iter().map(|(call, ..)| call).collect();
            for call in 0..=calls::NEWEST {
                let expected = if unknown.contains(&call) {
                    ABSENT
                } else if refused.contains(&call) {
                    REFUSED
                } else if some.contains(&call) {
                    continue;
                } else {
                    libc::SECCOMP_RET_ALLOW
                };
                assert_eq!(run(&program, call as u32, [0; 6]), expected, "call {call}");
            }
        }
    }

    #[test]
    fn newer_numbers_and_x32_are_unknown() {
        let program = program(&Sandbox::new(), OWN).unwrap();
        let newest = calls::NEWEST as u32;
        for number in [newest + 1, 1000, 1 << 30, 1 << 30 | 1, 1 << 30 | 520, u32::MAX] {
            assert_eq!(run(&program, number, [0; 6]), ABSENT, "call {number:#x}");
        }
    }

    #[test]
    fn arguments_decide_where_they_are_asked() {
        let (threads, reader) = (Sandbox::decoder().threads(), Sandbox::reader("/folder"));
        let allowed = libc::SECCOMP_RET_ALLOW;
        let high = 1 << 40;
        let own = u64::from(OWN);
        for (sandbox, call, argument, value, answer) in [
            (&reader, libc::SYS_tgkill, 0, own, allowed),
            (&reader, libc::SYS_tgkill, 0, 1, REFUSED),
            (&reader, libc::SYS_kill, 0, u64::MAX, REFUSED),
            (&reader, libc::SYS_openat, 2, libc::O_CLOEXEC as u64, allowed),
            (&reader, libc::SYS_openat, 2, libc::O_RDWR as u64, REFUSED),
            (&reader, libc::SYS_openat, 2, libc::O_TRUNC as u64, REFUSED),
            (&threads, libc::SYS_clone, 0, libc::CLONE_THREAD as u64, allowed),
            (&threads, libc::SYS_clone, 0, 0, REFUSED),
            (
                &threads,
                libc::SYS_clone,
                0,
                (libc::CLONE_THREAD | libc::CLONE_NEWUSER) as u64,
                REFUSED,
            ),
            (&threads, libc::SYS_ioctl, 1, libc::TIOCSTI | high, REFUSED),
            (&threads, libc::SYS_ioctl, 1, libc::FIONREAD, allowed),
            (&threads, libc::SYS_ioctl, 1, 0x4008_6602 | high, REFUSED),
            (&threads, libc::SYS_ioctl, 1, 0x4008_6403, allowed),
            (&Sandbox::new(), libc::SYS_ioctl, 1, 0x4008_6602, allowed),
            (&Sandbox::new(), libc::SYS_clone, 0, libc::CLONE_NEWIPC as u64, REFUSED),
            (&Sandbox::new(), libc::SYS_clone, 0, libc::CLONE_NEWUTS as u64, REFUSED),
            (&Sandbox::new(), libc::SYS_clone, 0, libc::SIGCHLD as u64, allowed),
            (&threads, libc::SYS_fcntl, 1, libc::F_SETOWN as u64 | high, REFUSED),
            (&threads, libc::SYS_fcntl, 1, libc::F_DUPFD_CLOEXEC as u64, allowed),
            (&threads, libc::SYS_sendto, 4, high, REFUSED),
            (&threads, libc::SYS_sendto, 4, 0, allowed),
            (&threads, libc::SYS_prlimit64, 0, 1, REFUSED),
            (&threads, libc::SYS_prlimit64, 0, 0, allowed),
            (&threads, libc::SYS_prctl, 0, libc::PR_SET_DUMPABLE as u64, REFUSED),
            (&threads, libc::SYS_prctl, 0, libc::PR_SET_NAME as u64, allowed),
        ] {
            let mut args = [0; 6];
            args[argument] = value;
            let program = program(sandbox, OWN).unwrap();
            assert_eq!(run(&program, call as u32, args), answer, "call {call}, {value:#x}");
        }
    }

    #[test]
    fn a_rung_taken_off_takes_its_calls_off() {
        for (rung, call) in [
            (Rung::Files, libc::SYS_openat),
            (Rung::Network, libc::SYS_socket),
            (Rung::Processes, libc::SYS_execve),
        ] {
            let with = program(&Sandbox::decoder(), OWN).unwrap();
            let without = program(&Sandbox::decoder().without(rung), OWN).unwrap();
            assert_eq!(run(&with, call as u32, [0; 6]), REFUSED);
            assert_eq!(run(&without, call as u32, [0; 6]), libc::SECCOMP_RET_ALLOW);
        }
    }

    #[test]
    fn a_search_over_a_long_way_arrives() {
        let rules = |count| vec![rules_of(0, When::Is(7)).unwrap().remove(0); count];
        let range = |n: u32| (n * 2, Leaf::Unless(rules(n as usize % 3 + 1)));
        let mut program = head().unwrap();
        tree(&(0..400).map(range).collect::<Vec<_>>(), &mut program);
        for number in 0..800 {
            assert_eq!(run(&program, number, [7, 0, 0, 0, 0, 0]), REFUSED);
            assert_eq!(run(&program, number, [8, 0, 0, 0, 0, 0]), libc::SECCOMP_RET_ALLOW);
        }
    }
}
