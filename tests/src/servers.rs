//! Display servers for tests: real ones, that show nothing on any screen.

use std::io::{self, BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

/// A display server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// What its clients find in their environment.
    environment: Vec<(&'static str, String)>,
    /// Its sockets are here.
    folder: Option<PathBuf>,
}

impl Server {
    /// Starts Xvfb on a display number that is free, and waits until clients can connect.
    ///
    /// # Errors
    /// Where there is no Xvfb, or it does not start.
    pub fn xvfb() -> io::Result<Server> {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut number = String::new();
        BufReader::new(stdout).read_line(&mut number)?;
        let display = format!(":{}", number.trim());
        let environment = vec![("DISPLAY", display), ("WAYLAND_DISPLAY", String::new())];
        Ok(Server { process, environment, folder: None })
    }

    /// Starts weston without a screen, and waits until clients can connect.
    ///
    /// # Errors
    /// Where there is no weston, or it does not start.
    pub fn weston() -> io::Result<Server> {
        let folder = std::env::temp_dir().join(format!("tine-weston-{}", std::process::id()));
        std::fs::create_dir(&folder)?;
        let ready = folder.join("ready");
        let heard = UnixDatagram::bind(&ready)?;
        let mut command = Command::new("weston");
        command.args(["--backend=headless-backend.so", "--use-pixman", "--no-config"]);
        command.args(["--modules=systemd-notify.so", "--socket=wayland", "--idle-time=0"]);
        command.env("XDG_RUNTIME_DIR", &folder).env("NOTIFY_SOCKET", &ready);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let runtime = folder.to_string_lossy().into_owned();
        let environment = vec![
            ("XDG_RUNTIME_DIR", runtime),
            ("WAYLAND_DISPLAY", "wayland".into()),
            ("DISPLAY", String::new()),
        ];
        let server = Server { process, environment, folder: Some(folder) };
        heard.set_read_timeout(Some(crate::conformance::DEADLINE))?;
        heard.recv(&mut [0; 256])?;
        Ok(server)
    }

    /// Lets a program be a client of this server, and of no other.
    pub fn let_in<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for (name, value) in &self.environment {
            if value.is_empty() {
                command.env_remove(name);
            } else {
                command.env(name, value);
            }
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.process.kill();
        let _status = self.process.wait();
        if let Some(folder) = &self.folder {
            let _left_behind = std::fs::remove_dir_all(folder);
        }
    }
}

/// The main function of a program that needs a display: starts the server, and the program again as a
/// client of it, which runs `client`; its end is the program's.
///
/// # Panics
/// When the server or the program cannot be started.
pub fn with_server(
    start: impl FnOnce() -> io::Result<Server>,
    client: impl FnOnce() -> ExitCode,
) -> ExitCode {
    const CLIENT: &str = "--client";
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if arguments.iter().any(|argument| argument == CLIENT) {
        return client();
    }
    let server = start().expect("a display server");
    let mut program = Command::new(std::env::current_exe().expect("/proc"));
    let status = server.let_in(program.arg(CLIENT).args(arguments)).status();
    drop(server);
    if status.expect("this program again").success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
