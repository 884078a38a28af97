//! Flow 2, the app's side: the posture of another process, as far as the kernel tells.

use super::{Hold, Posture, Rung};
use crate::{Error, Result};
use std::fs;
use std::os::unix::fs::MetadataExt;

impl Posture {
    /// Reads the posture of any process of this user from /proc, as a check on what it said of itself.
    ///
    /// The kernel tells nobody of Landlock and of namespaces, and for a process of root not whether it
    /// is dumpable; those rungs are not in the answer. Seccomp holds here when there is any filter.
    ///
    /// # Errors
    /// The kernel's, when there is no such process.
    pub fn of(pid: u32) -> Result<Posture> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).map_err(|error| Error::system(format!("read {path}"), error))
        };
        let (status, limits) = (read("status")?, read("limits")?);
        let mut posture = Posture::default();
        status_rungs(&status, &mut posture);
        limit_rungs(&limits, &mut posture);
        let score = read("oom_score_adj")?;
        posture.push(Rung::OomFirst, full_if(score.trim() == "1000"), "");
        let path = format!("/proc/{pid}/status");
        let owner = fs::metadata(&path)
            .map_err(|error| Error::system(format!("look at {path}"), error))?
            .uid();
        // It is the process's user while that is dumpable, root otherwise; the folder's always is the user.
        match field(&status, "Uid").and_then(|ids| ids.split_whitespace().nth(1)) {
            Some(user) if user != "0" => {
                posture.push(Rung::Undumpable, full_if(owner.to_string() != user), "");
            }
            _ => {}
        }
        Ok(posture)
    }
}

fn full_if(holds: bool) -> Hold {
    if holds { Hold::Full } else { Hold::Missing }
}

/// The value of a line `name:` of proc_pid_status(5).
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn status_rungs(status: &str, posture: &mut Posture) {
    for (rung, name, holds) in [
        (Rung::NoNewPrivs, "NoNewPrivs", "1"),
        (Rung::Capabilities, "CapPrm", "0000000000000000"),
        (Rung::Seccomp, "Seccomp", "2"),
    ] {
        if let Some(value) = field(status, name) {
            posture.push(rung, full_if(value == holds), "");
        }
    }
}

/// The soft limits of proc_pid_limits(5), a number or `unlimited`.
fn limit_rungs(limits: &str, posture: &mut Posture) {
    for (rung, name) in [
        (Rung::Memory, "Max address space"),
        (Rung::Cpu, "Max cpu time"),
        (Rung::Descriptors, "Max open files"),
        (Rung::FileSize, "Max file size"),
        (Rung::CoreDumps, "Max core file size"),
        (Rung::Processes, "Max processes"),
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        let Some(value) = line.and_then(|line| line.split_whitespace().next()) else { continue };
        let holds = match rung {
            Rung::CoreDumps | Rung::Processes => value == "0",
            _ => value != "unlimited",
        };
        posture.push(rung, full_if(holds), value);
    }
}
