//! Flow 2, in the worker: Landlock. One domain for files, network and scopes, at the kernel's own ABI.
//!
//! What ABI a kernel has, and what each adds, stands in landlock(7): 1 Linux 5.13, 2 5.19 (Debian 12
//! has 6.1), 3 6.2 (truncation), 4 6.7 (TCP), 5 6.10, 6 6.12 (scopes), 7 6.15, 9 sockets by path. It covers names only:
//! not descriptors that are open, not memory files opened again through /proc, not stat, chmod or utime.

use super::{Hold, Posture, Rung, Sandbox};
use ::landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, make_bitflags,
};

/// The newest ABI whose rights were looked at one by one. An older kernel takes what it knows of them.
const NEWEST: ABI = ABI::V9;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

const RUNGS: [Rung; 3] = [Rung::Files, Rung::Network, Rung::Scopes];

/// Enters the domain that the sandbox asks for, if any, and tells how far each of its rungs holds.
pub(super) fn enter(sandbox: &Sandbox, posture: &mut Posture) {
    if !RUNGS.iter().any(|rung| sandbox.has(*rung)) {
        return;
    }
    let result = restrict(sandbox);
    for rung in RUNGS.into_iter().filter(|rung| sandbox.has(*rung)) {
        let (hold, detail) = match &result {
            Ok(Domain { status, unopened }) => judge(rung, *status, unopened),
            Err(error) => (Hold::Missing, error.to_string()),
        };
        posture.push(rung, hold, detail);
    }
}

struct Domain {
    status: LandlockStatus,
    /// Folders that may be read but could not be opened, with the reason.
    unopened: Vec<String>,
}

fn restrict(sandbox: &Sandbox) -> Result<Domain, RulesetError> {
    let mut ruleset = Ruleset::default();
    if sandbox.has(Rung::Files) {
        ruleset = ruleset.handle_access(AccessFs::from_all(NEWEST))?;
    }
    if sandbox.has(Rung::Network) {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    if sandbox.has(Rung::Scopes) {
        ruleset = ruleset.scope(Scope::from_all(NEWEST))?;
    }
    let mut created = ruleset.create()?;
    let mut unopened = Vec::new();
    if sandbox.has(Rung::Files) {
        unopened = allow_reading(sandbox, &mut created)?;
    }
    // It was set a rung before, and whether it holds is told there.
    let status = created.no_new_privs(false).restrict_self()?;
    Ok(Domain { status: status.landlock, unopened })
}

fn allow_reading(
    sandbox: &Sandbox,
    created: &mut RulesetCreated,
) -> Result<Vec<String>, RulesetError> {
    let mut unopened = Vec::new();
    for folder in &sandbox.folders {
        match PathFd::new(folder) {
            Ok(fd) => created.add_rule(PathBeneath::new(fd, READ)).map(drop)?,
            Err(error) => unopened.push(error.to_string()),
        }
    }
    Ok(unopened)
}

fn judge(rung: Rung, status: LandlockStatus, unopened: &[String]) -> (Hold, String) {
    let abi = match status {
        LandlockStatus::NotEnabled => {
            return (Hold::Missing, "Landlock is not enabled in this kernel".into());
        }
        LandlockStatus::NotImplemented => {
            return (Hold::Missing, "the kernel has no Landlock, or a filter hides it".into());
        }
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            kernel_abi.unwrap_or(effective_abi as i32)
        }
    };
    let hold = hold(rung, abi);
    let mut detail = format!("Landlock ABI {abi}");
    match (rung, hold) {
        (Rung::Files, Hold::Partly) => detail += ", cutting files off is not covered",
        (Rung::Files, Hold::Full) if abi < 9 => detail += ", sockets with a path are not covered",
        (_, Hold::Missing) => detail += " is too old for it",
        _ => {}
    }
    if rung == Rung::Files && !unopened.is_empty() {
        detail = format!("{detail}; {}", unopened.join("; "));
    }
    (hold, detail)
}

fn hold(rung: Rung, abi: i32) -> Hold {
    match (rung, abi) {
        (Rung::Files, 1 | 2) => Hold::Partly,
        (Rung::Files, 3..) | (Rung::Network, 4..) | (Rung::Scopes, 6..) => Hold::Full,
        _ => Hold::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_abi_holds_what_landlock_7_says() {
        let holds = |abi| RUNGS.map(|rung| hold(rung, abi));
        assert_eq!(holds(0), [Hold::Missing; 3]);
        assert_eq!(holds(2), [Hold::Partly, Hold::Missing, Hold::Missing]);
        assert_eq!(holds(3), [Hold::Full, Hold::Missing, Hold::Missing]);
        assert_eq!(holds(5), [Hold::Full, Hold::Full, Hold::Missing]);
        assert_eq!(holds(7), [Hold::Full; 3]);
    }
}
