//! B8: what code inside the decoder's sandbox tries, and does not get. Each attempt is made three times
//! over: by a process that nothing confines, which must get through (or the attempt proves nothing); by
//! one in the whole sandbox; and by ones whose kernel has no seccomp or no Landlock, which must be held
//! by what is left. As an ordinary user, and as root where the program is started by root.

mod attempt;
mod files;
mod kernel;
mod network;
mod processes;

use std::collections::BTreeSet;
use std::process::ExitCode;

use attempt::{Attempt, By, Control};
use tine::{Hold, Rung, Sandbox};
use tine_tests::confined::{self, Lacking};
use tine_tests::scene::Scene;

fn main() -> ExitCode {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    confined::as_each_user(|| suite(&wanted));
    ExitCode::SUCCESS
}

fn suite(wanted: &str) {
    let user = if rustix::process::getuid().is_root() { "root" } else { "user" };
    let attempts = [files::ATTEMPTS, network::ATTEMPTS, processes::ATTEMPTS, kernel::ATTEMPTS];
    let attempts: Vec<_> =
        attempts.concat().into_iter().filter(|attempt| attempt.name.contains(wanted)).collect();
    let names: BTreeSet<_> = attempts.iter().map(|attempt| attempt.name).collect();
    assert_eq!(names.len(), attempts.len(), "each attempt has its name");
    println!("\nrunning {} attempts as {user}", attempts.len());
    let failures: Vec<String> = attempts.iter().flat_map(failures_of).collect();
    assert!(failures.is_empty(), "as {user}:\n{}", failures.join("\n"));
    println!("test result: ok. {} attempts refused, as {user}", attempts.len());
}

fn failures_of(attempt: &Attempt) -> Vec<String> {
    let sandbox = Sandbox::decoder();
    let abi = confined::run(&sandbox, &Lacking::nothing(), |_| ()).posture;
    let landlock =
        [Rung::Files, Rung::Network, Rung::Scopes].iter().all(|rung| abi.hold(*rung) == Hold::Full);
    let root = rustix::process::getuid().is_root();
    let mut rounds = vec![("whole", Lacking::nothing())];
    if attempt.by != By::Landlock {
        rounds.push(("without Landlock", Lacking::landlock()));
    }
    let left = match attempt.by {
        By::Seccomp => false,
        By::Landlock | By::Both => landlock,
        // The kernel exempts root from it.
        By::Limit => !root,
        By::Kernel => true,
    };
    if left {
        rounds.push(("without seccomp", Lacking::seccomp()));
    }
    let mut failures = Vec::new();
    if let Some(why) = control(attempt, root) {
        failures.push(format!("{}: unconfined: {why}", attempt.name));
    }
    for (round, lacking) in rounds {
        let mut scene = Scene::new();
        let before = scene.look();
        let ended = confined::run(&sandbox, &lacking, |socket| attempt.make(&scene, socket));
        let after = scene.look();
        if let Some(why) = attempt.escaped(&ended) {
            failures.push(format!("{}: {round}: {why}", attempt.name));
        }
        if before != after {
            failures.push(format!("{}: {round}: {before}\nbecame {after}", attempt.name));
        }
    }
    failures
}

/// Makes the attempt without a sandbox; tells why it proves nothing, if so.
fn control(attempt: &Attempt, root: bool) -> Option<String> {
    match attempt.control {
        Control::Harmful => return None,
        Control::Root if !root => return None,
        _ => {}
    }
    let mut scene = Scene::new();
    let before = scene.look();
    let ended = confined::run_free(|socket| attempt.make(&scene, socket));
    let after = scene.look();
    if attempt.control == Control::Seen {
        return (before == after).then(|| "nothing changed".into());
    }
    attempt.escaped(&ended).is_none().then(|| format!("refused, {:?}", ended.status))
}
