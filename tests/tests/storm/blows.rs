//! The storm itself: a thread that kills, stops and continues whatever process of this program it meets.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use tine_tests::processes;

/// Numbers that look random (Marsaglia's xorshift).
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// Deals blows until it is over, to all but the template `spared` and its processes. Whom it has stopped, it kills or continues; nobody is left stopped.
pub fn deal(over: &AtomicBool, seed: u64, spared: u32) {
    let (mut chance, mut stopped) = (Chance(seed | 1), Vec::new());
    while !over.load(Ordering::Relaxed) {
        let templates: Vec<_> = templates().filter(|pid| *pid != spared).collect();
        if templates.is_empty() {
            continue;
        }
        let template = templates[chance.below(templates.len())];
        match chance.below(150) {
            0 => send(template, Signal::KILL),
            1 => stop(template, &mut stopped),
            _ => {
                let children = processes::children(template);
                if let Some((child, _)) = children.get(chance.below(children.len().max(1))) {
                    match chance.below(8) {
                        0 | 1 => send(*child, Signal::KILL),
                        2 => stop(*child, &mut stopped),
                        _ => (),
                    }
                }
            }
        }
        while stopped.len() > 3 || (!stopped.is_empty() && chance.one_in(6)) {
            let pid = stopped.swap_remove(chance.below(stopped.len()));
            send(pid, if chance.one_in(2) { Signal::KILL } else { Signal::CONT });
        }
    }
    stopped.into_iter().for_each(|pid| send(pid, Signal::CONT));
}

/// Children of this program that have its name: its templates.
fn templates() -> impl Iterator<Item = u32> {
    let children = processes::children(std::process::id()).into_iter().map(|(pid, _)| pid);
    children.filter(|pid| processes::status(*pid, "Name").is_some_and(|name| name != "sh"))
}

fn stop(pid: u32, stopped: &mut Vec<u32>) {
    send(pid, Signal::STOP);
    stopped.push(pid);
}

/// It may be gone by now.
fn send(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = kill_process(pid, signal);
    }
}
