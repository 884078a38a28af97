//! F17: processes at the far end of a command: a shell, a pipeline, a real sshd on the loopback.

use std::cell::Cell;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::Duration;

use tine::{Cause, ErrorKind, Template, Worker};
use tine_tests::told::{DEADLINE, Told, eventually};
use tine_tests::workers::{ENDURE, ITEMS, RETURN, Sent, items};
use tine_tests::{cases, runner};

fn main() -> ExitCode {
    let template = Template::early().expect("first line of main");
    let cases = cases![
        over_a_shell,
        over_pipes,
        over_ssh,
        failures_are_told_from_there,
        standard_error_that_goes_the_way_of_answers,
        preparations_that_fail_are_told_from_there,
        a_command_that_leads_nowhere,
        one_that_ends_at_once,
        descriptors_cannot_go_there,
        standard_error_cannot_be_piped,
        killed_at_this_end,
        a_far_end_that_never_answers,
        a_far_end_that_can_say_no_more,
        a_far_end_that_takes_its_time,
    ];
    runner::run(&template, cases)
}

fn program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

/// What a shell at the far end is told.
fn invocation() -> String {
    format!("TINE_TEMPLATE=remote exec '{}'", program().display())
}

fn shell(template: &Template, script: &str) -> tine::Process {
    template.command("sh").args(["-c", script]).remote()
}

fn assert_tells_items(process: tine::Process) {
    let long: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    let told = Told::run(process.send_arg("x").send_arg("").send_arg(long.clone()), ITEMS);
    let expected = [Sent::Arg(b"x".into()), Sent::Arg(Vec::new()), Sent::Arg(long)];
    let socket = told.socket();
    // What passes octets on may wait for more of them, and keep the other direction open until it has their end.
    socket.shutdown(std::net::Shutdown::Write).expect("a socket");
    assert!(items(socket) == expected);
    assert!(matches!(told.exit().cause(), Cause::Exited(0) | Cause::Returned), "{}", told.exit());
}

fn over_a_shell(template: &Template) {
    // One that has no standard error passes nothing of it on.
    assert_tells_items(shell(template, &format!("exec 2>&-; {}", invocation())));
    assert_tells_items(shell(template, &invocation()));
}

/// What passes the octets on may be anything.
fn over_pipes(template: &Template) {
    assert_tells_items(shell(template, &format!("cat | ({}) | cat", invocation())));
}

tine::entry!(FAIL = fail);
fn fail(_: Worker) -> Result<(), &'static str> {
    Err("no such luck")
}

tine::function!(NOISE = noise);
fn noise(_: &mut tine::Items, _: Vec<Vec<u8>>) -> Result<(), &'static str> {
    eprintln!("a word of its library");
    Err("no such profile")
}

/// F5, F17: also where what brings its words makes one of several.
fn preparations_that_fail_are_told_from_there(template: &Template) {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept").display().to_string();
    let together = format!("({}) 2>'{kept}'; cat '{kept}' >&2; exit 1", invocation());
    for script in [invocation(), together] {
        let told = Told::run(shell(template, &script).call(NOISE, [""; 0]), RETURN);
        let refusal = told.refusal().to_string();
        assert!(refusal.ends_with("no such profile"), "{refusal}");
        let exit = told.exit();
        assert!(matches!(exit.cause(), Cause::Unprepared(_)), "{exit}");
        assert_eq!(exit.stderr(), "a word of its library\n");
    }
}

fn failures_are_told_from_there(template: &Template) {
    let told = Told::run(shell(template, &invocation()), FAIL);
    told.socket();
    assert!(told.exit().to_string().contains("no such luck"), "{}", told.exit());
}

/// B3, F17: words that say how it ended have no place in its answer.
fn standard_error_that_goes_the_way_of_answers(template: &Template) {
    for invocation in
        [format!("exec 2>&1; {}", invocation()), format!("({}) 2>&1 | cat", invocation())]
    {
        let told = Told::run(shell(template, &invocation), FAIL);
        let socket = told.socket();
        socket.shutdown(std::net::Shutdown::Write).expect("a socket");
        let answer = std::io::read_to_string(&socket).expect("text");
        assert_eq!(answer, "", "{invocation}");
        told.exit();
    }
}

/// F17: how the command ended, and its own words: they say what its user has to do.
fn a_command_that_leads_nowhere(template: &Template) {
    let cases: [(&str, &[&str]); 6] = [
        ("exit 5", &["exited with 5"]),
        ("echo cannot reach host >&2; exit 255", &["exited with 255", "cannot reach host"]),
        ("/nowhere/program", &["exited with 127", "/nowhere/program"]),
        ("echo of another kind, and with more to say", &["with more to say"]),
        ("echo short; exit 3", &["exited with 3", "short"]),
        ("echo one >&2; echo two >&2; kill -9 $$", &["SIGKILL", "one\ntwo"]),
    ];
    for (script, reasons) in cases {
        for _ in 0..10 {
            let told = Told::run(shell(template, script), ITEMS);
            let refusal = told.refusal().to_string();
            assert!(reasons.iter().all(|reason| refusal.contains(reason)), "{script}: {refusal}");
            told.exit();
        }
    }
    let told = Told::run(template.command("/nowhere/ssh").remote(), ITEMS);
    assert!(told.refusal().to_string().contains("/nowhere/ssh"));
}

fn descriptors_cannot_go_there(template: &Template) {
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let told = Told::run(shell(template, &invocation()).send_fd(reader), ITEMS);
    let refusal = told.refusal().to_string();
    assert!(refusal.contains("descriptor"), "{refusal}");
}

/// F17: nobody would have the other end, and the far end could not write to it.
fn standard_error_cannot_be_piped(template: &Template) {
    let command = template.command("sh").args(["-c", &invocation()]);
    let refusal = Told::run(command.stderr(tine::Stdio::Piped).remote(), RETURN).refusal();
    assert_eq!(refusal.kind(), ErrorKind::Misuse, "{refusal}");
    assert!(refusal.to_string().contains("standard error"), "{refusal}");
}

fn killed_at_this_end(template: &Template) {
    let told = Told::run(shell(template, &invocation()), ENDURE);
    drop(told.socket());
    told.running().kill(libc::SIGKILL).expect("it lives");
    assert_eq!(told.exit().signal(), Some(libc::SIGKILL));
}

/// B4, F17: it is given up by its template's deadline or its own, be it that it says nothing, a part of something, or
/// that it has closed its standard streams. What it has said, perhaps a question, is told.
fn a_far_end_that_never_answers(_: &Template) {
    let template = Template::exec().expect("a template");
    let short = Duration::from_millis(100);
    for script in ["exec sleep 1000", "exec sleep 1000 <&- >&-"] {
        let command = template.command("sh").args(["-c", script]);
        assert_is_given_up(command.clone().deadline(short), script);
        template.set_deadline(short);
        assert_is_given_up(command.clone(), script);
        template.set_deadline(DEADLINE);
    }
    // Long enough for a shell to begin, however busy the machine is.
    let long = Duration::from_secs(2);
    let told = [(r"\1", r#""\u{1}""#), ("Password: ", r#""Password: ""#)].map(|(word, said)| {
        let script = format!("printf '{word}'; exec sleep 1000");
        let command = template.command("sh").args(["-c", &script]).deadline(long);
        (Told::run(command.remote(), ITEMS), said)
    });
    for (told, said) in told {
        let refusal = told.refusal().to_string();
        assert!(refusal.ends_with(&format!("within 2s; it said {said}")), "{refusal}");
        assert_eq!(told.exit().signal(), Some(libc::SIGKILL), "{refusal}");
    }
    assert_eq!(template.report().deaths, 0);
}

fn assert_is_given_up(command: tine::Command, script: &str) {
    let told = Told::run(command.remote().send_arg(vec![0; 1_000_000]), ITEMS);
    let refusal = told.refusal();
    assert_eq!(refusal.kind(), ErrorKind::NoProcess, "{refusal}");
    assert_eq!(refusal.to_string(), "the far end of sh did not answer within 100ms", "{script}");
    assert_eq!(told.exit().signal(), Some(libc::SIGKILL), "{script}");
    assert_eq!(told.words(), ["refusal", "exit"], "{script}");
}

/// B3, B4, F17: what is no process of tine's, or has closed its output before it was ready, does not stay.
fn a_far_end_that_can_say_no_more(template: &Template) {
    let begin = format!(r"\1\6{}", r"\0".repeat(14));
    let scripts = [
        ("echo this is no word of tine; exec sleep 1000".into(), ErrorKind::Protocol),
        (format!("printf '{begin}'; exec sleep 1000 <&- >&-"), ErrorKind::NoProcess),
    ];
    for (script, kind) in scripts {
        let command = template.command("sh").args(["-c", &script]);
        let told = Told::run(command.deadline(Duration::from_secs(2)).remote(), ITEMS);
        let refusal = told.refusal();
        assert_eq!(refusal.kind(), kind, "{refusal}");
        assert_eq!(told.exit().signal(), Some(libc::SIGKILL), "{script}");
        assert_eq!(told.words(), ["refusal", "exit"], "{script}");
    }
}

tine::function!(AWAIT = wait_for);
fn wait_for(_: &mut tine::Items, args: Vec<Vec<u8>>) -> std::io::Result<()> {
    std::fs::read(std::ffi::OsString::from_vec(args.concat())).map(drop)
}

/// F5, F17: once it has said that it is there, what is called in it may last.
fn a_far_end_that_takes_its_time(template: &Template) {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).expect("a fifo");
    let deadline = Duration::from_secs(2);
    let command = template.command("sh").args(["-c", &invocation()]).deadline(deadline);
    let process = command.remote().call(AWAIT, [fifo.clone().into_os_string().into_vec()]);
    let told = Told::run(process, RETURN);
    let passed = Rc::new(Cell::new(false));
    let pass = Rc::clone(&passed);
    let _timer = tine::queue().after(deadline + deadline / 4, move || pass.set(true));
    eventually("the deadline to pass", || passed.get().then_some(()));
    assert!(told.words().is_empty(), "{:?}", told.words());
    std::fs::write(&fifo, "go on").expect("it reads");
    told.socket();
    assert!(told.exit().success(), "{}", told.exit());
}

/// A real sshd, with keys and configuration of its own in a folder that goes with it.
struct Sshd {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Sshd {
    fn start() -> Sshd {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for key in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(key));
            assert!(keygen.status().expect("ssh-keygen").success());
        }
        std::fs::copy(at("user.pub"), at("authorized")).expect("a key");
        let port = free_port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {host}\nAuthorizedKeysFile {authorized}\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n",
            host = at("host").display(),
            authorized = at("authorized").display()
        );
        std::fs::write(at("config"), config).expect("a file");
        // What Debian's start script makes: sshd refuses to run without, as root.
        let _ = std::fs::create_dir_all("/run/sshd");
        let log = std::fs::File::create(at("log")).expect("a file");
        let process = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd");
        let sshd = Sshd { process, folder, port };
        eventually("sshd", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
        sshd
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, template: &Template) -> tine::Command {
        let (port, key) = (self.port.to_string(), self.folder().join("user"));
        let known = format!("UserKnownHostsFile={}", self.folder().join("known").display());
        let options =
            ["BatchMode=yes", "StrictHostKeyChecking=accept-new", "LogLevel=ERROR", &known];
        let ssh = template.command("ssh").args(["-F", "none", "-T", "-p", &port, "-i"]).arg(key);
        options.iter().fold(ssh, |ssh, option| ssh.args(["-o", option])).arg("127.0.0.1")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Its sessions have ended with their clients.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One that nobody had a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback");
    listener.local_addr().expect("an address").port()
}

fn over_ssh(template: &Template) {
    let sshd = Sshd::start();
    assert_tells_items(sshd.command(template).arg(invocation()).remote());
    let told = Told::run(sshd.command(template).arg(invocation()).remote(), FAIL);
    told.socket();
    assert!(told.exit().to_string().contains("no such luck"), "{}", told.exit());
    let told = Told::run(sshd.command(template).arg("/nowhere/program").remote(), ITEMS);
    let refusal = told.refusal().to_string();
    assert!(refusal.contains("127") && refusal.contains("/nowhere/program"), "{refusal}");
    told.exit();
    let refused = sshd.command(template).args(["-o", "PreferredAuthentications=none"]);
    let told = Told::run(refused.arg(invocation()).remote(), ITEMS);
    let refusal = told.refusal().to_string();
    assert!(refusal.contains("255") && refusal.contains("Permission denied"), "{refusal}");
    told.exit();
}

/// F17: a process that has come to its end by the time that it is looked at was one all the same.
fn one_that_ends_at_once(template: &Template) {
    for _ in 0..50 {
        let told = Told::run(shell(template, &invocation()), RETURN);
        assert!(told.settled(), "{}", told.refusal());
        assert!(told.exit().code() == Some(0), "{}", told.exit());
    }
}
