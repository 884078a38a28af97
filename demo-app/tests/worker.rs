//! Flow 2, both sides: the decoding entry in real workers, free and in their sandbox, over
//! all that the generator writes. It has a main of its own, because a template is forked early.

use std::cell::RefCell;
use std::error::Error;
use std::fs::OpenOptions;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tine::{Exit, Sandbox, Template};
use tine_viewer::protocol::{Caller, Encoded, Failure, Reply, Request, Size};
use tine_viewer::worker::{DECODE, sandbox};

const WANT: Size = Size::new(160, 160);
const THUMBNAIL: u32 = 256;
/// Nothing here takes longer unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let template = Template::early()?;
    let paths = pictures()?;
    let free = Worker::start(&template, None)?.decode_all(&paths)?;
    let (drawn, failed) = (free.iter().filter(|told| told.is_ok()).count(), free.len());
    assert!(drawn >= 36 && failed > drawn, "only {drawn} of {failed} were drawn");
    let encoded: Vec<_> = free.iter().flatten().filter_map(|told| told.1.as_ref()).collect();
    assert!(encoded.len() >= 30, "only {} thumbnails for the cache", encoded.len());
    for encoded in encoded {
        let thumbnail = image::load_from_memory(encoded)?;
        assert_eq!(thumbnail.width().max(thumbnail.height()), THUMBNAIL);
    }
    println!("test a_worker_serves_all_kinds_of_files ... ok");

    let sandboxed = Worker::start(&template, Some(sandbox()))?.decode_all(&paths)?;
    for ((path, free), sandboxed) in paths.iter().zip(free).zip(sandboxed) {
        assert_eq!(free, sandboxed, "{} differs in the sandbox", path.display());
    }
    println!("test the_sandbox_changes_nothing ... ok");
    Ok(())
}

/// What the generator writes and can be opened, in a fixed order.
fn pictures() -> Result<Vec<PathBuf>> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("worker");
    let status = Command::new(env!("CARGO_BIN_EXE_tine-pictures")).arg(&dir).status()?;
    assert!(status.success(), "{status}");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&dir)? {
        let path = entry?.path();
        if path.exists() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// What the app makes of an answer: the octets of the picture and of its thumbnail, or the reason why
/// there is none.
type Told = std::result::Result<(Vec<u8>, Option<Vec<u8>>), Failure>;

struct Worker {
    caller: Caller,
    exit: Rc<RefCell<Option<Exit>>>,
}

impl Worker {
    fn start(template: &Template, sandbox: Option<Sandbox>) -> Result<Self> {
        let process = match &sandbox {
            Some(sandbox) => template.fork().sandbox(sandbox),
            None => template.fork(),
        };
        let (socket, exit) = (Rc::new(RefCell::new(None)), Rc::new(RefCell::new(None)));
        let (kept, told) = (socket.clone(), exit.clone());
        process
            .run(DECODE, move |socket| *kept.borrow_mut() = Some(socket))
            .on_exit(move |exit| *told.borrow_mut() = Some(exit));
        let socket = turn_until(|| socket.take())??;
        Ok(Self { caller: Caller::new(socket), exit })
    }

    /// One after the other; the worker then ends by itself, successfully.
    fn decode_all(mut self, paths: &[PathBuf]) -> Result<Vec<Told>> {
        let mut all = Vec::new();
        for (job, path) in paths.iter().enumerate() {
            let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
            let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
            self.caller.send(
                Request { job: job as u64, want: WANT, thumbnail: THUMBNAIL },
                file.as_fd(),
            )?;
            let reply = self.reply(path)?;
            all.push(match reply.result {
                Ok(drawing) => {
                    let encoded = drawing.thumbnail.as_ref().map(Encoded::to_bytes).transpose()?;
                    Ok((drawing.to_bytes()?, encoded))
                }
                Err(failure) => Err(failure),
            });
        }
        drop(self.caller);
        let exit = turn_until(|| self.exit.take())?;
        assert!(exit.success(), "{exit:?}");
        Ok(all)
    }

    fn reply(&mut self, path: &Path) -> Result<Reply> {
        loop {
            match self.caller.receive() {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(error) => {
                    let exit = turn_until(|| self.exit.take())?;
                    return Err(format!("{}: {error}; {exit:?}", path.display()).into());
                }
            }
            let timeout = Timespec::try_from(DEADLINE)?;
            let ready = poll(&mut [PollFd::new(&self.caller, PollFlags::IN)], Some(&timeout))?;
            assert_eq!(ready, 1, "no answer about {}", path.display());
        }
    }
}

/// Drives the queue until `done` has something.
fn turn_until<T>(mut done: impl FnMut() -> Option<T>) -> Result<T> {
    let late = std::time::Instant::now() + DEADLINE;
    loop {
        if let Some(value) = done() {
            return Ok(value);
        }
        assert!(std::time::Instant::now() < late, "nothing is told of the worker");
        tine::queue().turn(Some(DEADLINE))?;
    }
}
