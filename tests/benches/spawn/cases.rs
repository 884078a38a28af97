//! The cases by name, and the program of each.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use crate::peers::{self, Program};

/// One way to spawn.
pub struct Case {
    pub name: &'static str,
    /// Takes the app's size and the window as its last arguments.
    pub program: Program,
    /// What is to be spawned, if the program wants to be told: stands after those.
    pub spawned: Vec<String>,
}

const TINE: &str = env!("CARGO_BIN_EXE_spawn-tine");
const TINE_GTK: &str = env!("CARGO_BIN_EXE_spawn-tine-gtk");
const CRATES: &str = env!("CARGO_BIN_EXE_spawn-crates");

/// All cases, in the order of the table.
pub fn all() -> Vec<Case> {
    [tine(), without_template(), others(), limits()].into_iter().flatten().collect()
}

fn tine() -> Vec<Case> {
    let tine = |name, program: &str, case: &str| Case::new(name, words([program, case]));
    vec![
        tine("tine-early", TINE, "early"),
        tine("tine-early-spares", TINE, "spares"),
        tine("tine-exec-template", TINE, "exec"),
        Case::new("tine-exec-each", linked_statically("each")),
        tine("tine-exec-each-dynamic", TINE, "each"),
        tine("tine-lean", TINE_GTK, "lean"),
        tine("tine-gtk-early", TINE_GTK, "early"),
        tine("tine-gtk-spares", TINE_GTK, "spares"),
    ]
}

/// Our program where its start counts: the dynamic linker would take most of that.
fn linked_statically(case: &str) -> Program {
    static PROGRAM: LazyLock<Result<String, String>> =
        LazyLock::new(|| built_statically("spawn-tine"));
    PROGRAM.clone().map(|program| vec![program, case.into()])
}

/// Builds one of our own programs once more, linked to nothing at run time.
fn built_statically(program: &str) -> Result<String, String> {
    let host = peers::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("static");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--no-default-features", "--bin", program]);
    // Named, so that the flags are not those of what runs during the build.
    cargo.args(["--target", host.trim(), "--target-dir"]).arg(&target);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("CARGO_ENCODED_RUSTFLAGS");
    peers::output(cargo.env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    let built = target.join(host.trim()).join("release").join(program);
    Ok(built.to_string_lossy().into_owned())
}

/// Fork and exec by the app itself.
fn without_template() -> Vec<Case> {
    let spawn = || peers::compile("spawn.c", "c-spawn", &[]).map(|program| vec![program]);
    let nothing = |name, flags: Result<Vec<String>, String>| {
        flags.and_then(|flags| peers::compile("nothing.c", name, &flags))
    };
    let fixed = nothing("c-nothing", Ok(vec!["-static".into()]));
    let gtk = nothing("c-nothing-gtk", peers::linked_like(TINE_GTK));
    vec![
        Case::new("plain-fork", spawn()),
        Case::spawning("posix-spawn-static", spawn(), fixed.clone().map(|program| vec![program])),
        Case::spawning("posix-spawn-gtk", spawn(), gtk.map(|program| vec![program])),
        // What `exec` each time starts, started without a template.
        Case::spawning("posix-spawn-same", spawn(), linked_statically("spawned")),
        Case::spawning("posix-spawn-same-dynamic", spawn(), words([TINE, "spawned"])),
        Case::spawning(
            "std-command",
            words([CRATES, "command"]),
            fixed.map(|program| vec![program]),
        ),
    ]
}

fn others() -> Vec<Case> {
    let perl = |way: &str| {
        let probe = ["-MEV", "-MAnyEvent::Fork", "-e1"];
        let package = "libanyevent-fork-perl and libev-perl";
        let script = script("perl", &probe, "anyevent-fork.pl", package);
        script.map(|script| script.into_iter().chain([way.into()]).collect())
    };
    let probe = ["-c", "import multiprocessing"];
    let python = script("python3", &probe, "cpython-forkserver.py", "python3");
    vec![
        Case::new("anyevent-fork-new", perl("new")),
        Case::new("anyevent-fork-new-exec", perl("new_exec")),
        Case::new("procspawn", words([CRATES, "procspawn"])),
        Case::new("zygote-crate", words([CRATES, "zygote"])),
        Case::new("cpython-forkserver", python),
    ]
}

/// A script of ours, if what it needs is there.
fn script(interpreter: &str, probe: &[&str], source: &str, package: &str) -> Program {
    peers::output(Command::new(interpreter).args(probe))
        .map_err(|_| format!("needs {package}, which is not installed"))?;
    Ok(vec![interpreter.into(), peers::path(source).to_string_lossy().into_owned()])
}

/// The least that a template can do, linked as ours are.
fn limits() -> Vec<Case> {
    let template = |name, like| {
        let program =
            peers::linked_like(like).and_then(|flags| peers::compile("template.c", name, &flags));
        Case::new(name, program.map(|program| vec![program]))
    };
    vec![template("c-template", TINE), template("c-template-gtk", TINE_GTK)]
}

impl Case {
    fn new(name: &'static str, program: Program) -> Case {
        Case { name, program, spawned: Vec::new() }
    }

    fn spawning(name: &'static str, program: Program, spawned: Program) -> Case {
        match spawned {
            Ok(spawned) => Case { name, program, spawned },
            Err(why) => Case::new(name, Err(why)),
        }
    }
}

fn words<const N: usize>(words: [&str; N]) -> Program {
    Ok(words.map(String::from).to_vec())
}
