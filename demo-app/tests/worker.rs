//! Flow 2, both sides: the decoding entry in the workers of the pool, free and in their sandbox, over all
//! that the generator writes; and what becomes of pictures when workers die, or lie. It has a main of its
//! own, because a template is forked early.
//!
//! FEATURES.md: K3, B2, B7.

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tine::pool::{Failure as Reason, ncpu};
use tine::rpc::{self, Caller, Fd};
use tine::{Pool, Sandbox, Shared, Template};
use tine_viewer::decoders::{Decoders, Urgency, crashed, pids};
use tine_viewer::layout::{Layout, PixelFormat, Size};
use tine_viewer::message::{Answer, Failure, Request, Want};
use tine_viewer::worker::{self, DECODE, sandbox};

const WANT: Want = Want { size: Size::new(160, 160), thumbnail: 256 };
/// Nothing here takes longer unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let template = Template::early()?;
    let paths = pictures()?;
    let free = decode_all(&template, None, &paths)?;
    let (drawn, failed) = (free.iter().filter(|told| told.is_ok()).count(), free.len());
    assert!(drawn >= 36 && failed > drawn, "only {drawn} of {failed} were drawn");
    let encoded: Vec<_> = free.iter().flatten().filter_map(|told| told.1.as_ref()).collect();
    assert!(encoded.len() >= 30, "only {} thumbnails for the cache", encoded.len());
    for encoded in encoded {
        let thumbnail = image::load_from_memory(encoded)?;
        assert_eq!(thumbnail.width().max(thumbnail.height()), WANT.thumbnail);
    }
    println!("test a_worker_serves_all_kinds_of_files ... ok");

    let sandboxed = decode_all(&template, Some(sandbox()), &paths)?;
    for ((path, free), sandboxed) in paths.iter().zip(free).zip(sandboxed) {
        assert_eq!(free, sandboxed, "{} differs in the sandbox", path.display());
    }
    println!("test the_sandbox_changes_nothing ... ok");

    one_that_kills_workers_costs_its_own_tile(&template)?;
    println!("test one_that_kills_workers_costs_its_own_tile ... ok");
    one_that_dies_once_is_drawn(&template)?;
    println!("test one_that_dies_once_is_drawn ... ok");
    a_worker_that_lies_is_put_down(&template)?;
    println!("test a_worker_that_lies_is_put_down ... ok");
    what_is_waited_for_comes_first(&template)?;
    println!("test what_is_waited_for_comes_first ... ok");
    Ok(())
}

/// What the generator writes and can be opened, in a fixed order.
fn pictures() -> Result<Vec<PathBuf>> {
    let dir = folder("worker");
    let status = Command::new(env!("CARGO_BIN_EXE_tine-pictures")).arg(&dir).status()?;
    assert!(status.success(), "{status}");
    let mut paths = Vec::new();
    for entry in fs::read_dir(&dir)? {
        let path = entry?.path();
        if path.exists() {
            paths.push(path);
        }
    }
    #[cfg(feature = "avif")]
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/avif"))? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// What the app makes of an answer: the octets of the picture and of its thumbnail, or the reason why
/// there is none.
type Told = std::result::Result<(Vec<u8>, Option<Vec<u8>>), Failure>;

/// One after the other in one worker.
fn decode_all(
    template: &Template,
    sandbox: Option<Sandbox>,
    paths: &[PathBuf],
) -> Result<Vec<Told>> {
    let builder = Pool::<Request, Answer<Shared>>::builder(template, DECODE).max(1);
    let builder = match &sandbox {
        Some(sandbox) => builder.sandbox(sandbox),
        None => builder,
    };
    let pool = builder.build()?;
    let mut all = Vec::new();
    for path in paths {
        let answer = pool.submit(request(open(path)?)).completion().recv();
        let answer = answer.map_err(|error| format!("{}: {error}", path.display()))?;
        all.push(answer.map(|drawing| {
            assert_eq!(drawing.check(WANT), Ok(()), "{}", path.display());
            let encoded = drawing.thumbnail.map(|encoded| encoded.to_vec());
            (drawing.pixels[..drawing.layout.len() as usize].to_vec(), encoded)
        }));
    }
    let report = pool.report();
    assert_eq!((report.started, report.done), (1, paths.len() as u64), "{report}");
    Ok(all)
}

/// As the app opens files: a pipe without a writer must not keep it waiting.
fn open(path: &Path) -> Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    Ok(OpenOptions::new().read(true).custom_flags(flags).open(path)?)
}

fn request(file: File) -> Request {
    Request { file: file.into(), want: WANT }
}

// Workers that have something done to them.

tine::entry!(FATAL = fatal_worker);
tine::entry!(LYING = lying_worker);

/// A decoder with a hole: a file that begins so ends it; one that begins with `once` only the first time.
fn fatal_worker(worker: tine::Worker) -> tine::Result<()> {
    rpc::serve(worker, |request: Request, caller| -> tine::Result<Answer<Fd>> {
        let file = File::from(request.file.clone().into_owned()?);
        let mut head = [0; 4];
        file.read_at(&mut head, 0)?;
        match &head {
            b"kill" => std::process::abort(),
            // Its offset is all that a worker can leave behind in a sandbox.
            b"once" if rustix::fs::tell(&file)? == 0 => {
                rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(1))?;
                std::process::abort()
            }
            b"once" => Ok(Err(Failure::lasting("it is there"))),
            _ => Ok(worker::answer(request, caller)),
        }
    })
}

/// Says that its picture is larger than its memory, as soon as it is asked for a small one.
fn lying_worker(worker: tine::Worker) -> tine::Result<()> {
    rpc::serve(worker, |request: Request, caller: &mut Caller<'_>| {
        let want = request.want;
        let mut answer = worker::answer(request, caller);
        if let (Ok(drawing), true) = (&mut answer, want.size.width == 1) {
            let size = Size::new(1, 1);
            drawing.layout = Layout { size, stride: 63, format: PixelFormat::Rgb8 };
        }
        Ok::<Answer<Fd>, Infallible>(answer)
    })
}

/// What came of one that had time enough.
fn in_time(answer: Option<Answer<Shared>>) -> Answer<Shared> {
    answer.expect("none takes seconds")
}

/// Answers, by a number for each, in the order in which they came.
#[derive(Clone, Default)]
struct Answers(Rc<RefCell<Vec<Numbered>>>);

type Numbered = (usize, Answer<Shared>);

impl Answers {
    fn ask(&self, decoders: &Decoders, number: usize, path: &Path, urgency: Urgency) -> Result<()> {
        let answers = Rc::clone(&self.0);
        decoders.submit(request(open(path)?), urgency, move |_, result| {
            answers.borrow_mut().push((number, in_time(result)));
        });
        Ok(())
    }

    fn wait(&self, count: usize, decoders: &Decoders) -> Result<()> {
        turn_until(decoders, || self.0.borrow().len() >= count)
    }

    #[track_caller]
    fn reason(&self, number: usize) -> String {
        let answers = self.0.borrow();
        let answer = answers.iter().find(|answer| answer.0 == number);
        match answer.map(|answer| &answer.1) {
            Some(Err(failure)) => failure.reason.clone(),
            other => panic!("{number}: {other:?}"),
        }
    }

    fn order(&self) -> Vec<usize> {
        self.0.borrow().iter().map(|answer| answer.0).collect()
    }

    fn drawn(&self) -> usize {
        self.0.borrow().iter().filter(|answer| answer.1.is_ok()).count()
    }
}

/// Drives the queue until it is so.
fn turn_until(decoders: &Decoders, is_so: impl Fn() -> bool) -> Result<()> {
    let late = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < late, "{}", decoders.glance());
        tine::queue().turn(Some(DEADLINE))?;
    }
    Ok(())
}

/// A good picture, and one of other content.
fn good_and(name: &str, octets: &[u8]) -> Result<(PathBuf, PathBuf)> {
    let dir = folder(name);
    fs::create_dir_all(&dir)?;
    let (good, other) = (dir.join("good.png"), dir.join("other.png"));
    image::RgbImage::from_pixel(300, 200, image::Rgb([20, 180, 60])).save(&good)?;
    fs::write(&other, octets)?;
    Ok((good, other))
}

/// Two workers die of it, then it is set aside, with the reason; everything beside it is drawn.
fn one_that_kills_workers_costs_its_own_tile(template: &Template) -> Result<()> {
    let (good, fatal) = good_and("fatal", b"kill")?;
    let decoders = Decoders::new(template, FATAL, ncpu())?;
    let answers = Answers::default();
    for number in 0..40 {
        let path = if number == 7 { &fatal } else { &good };
        answers.ask(&decoders, number, path, Urgency::InView)?;
    }
    answers.wait(40, &decoders)?;
    assert_eq!(answers.drawn(), 39);
    let reason = answers.reason(7);
    assert!(reason.contains("2 workers died of it") && reason.contains("ABRT"), "{reason}");
    turn_until(&decoders, || crashed(&decoders.glance()) == 2)?;
    let report = decoders.glance();
    assert_eq!(report.retried, 1, "{report}");
    assert_eq!(report.failed.get(&Reason::Poison), Some(&1), "{report}");
    Ok(())
}

fn one_that_dies_once_is_drawn(template: &Template) -> Result<()> {
    let (_, once) = good_and("once", b"once")?;
    let decoders = Decoders::new(template, FATAL, 2)?;
    let answers = Answers::default();
    answers.ask(&decoders, 0, &once, Urgency::InView)?;
    answers.wait(1, &decoders)?;
    assert_eq!(answers.reason(0), "it is there");
    assert_eq!(decoders.glance().retried, 1, "{}", decoders.glance());
    Ok(())
}

/// What it says of its picture is looked at. Its next answer is another worker's.
fn a_worker_that_lies_is_put_down(template: &Template) -> Result<()> {
    let (good, _) = good_and("lying", b"")?;
    let decoders = Decoders::new(template, LYING, 1)?;
    let answers = Answers::default();
    let told = Rc::clone(&answers.0);
    let want = Want { size: Size::new(1, 1), thumbnail: 0 };
    let small = Request { want, ..request(open(&good)?) };
    decoders.submit(small, Urgency::Wanted, move |_, result| {
        told.borrow_mut().push((0, in_time(result)))
    });
    answers.wait(1, &decoders)?;
    let reason = answers.reason(0);
    assert!(reason.ends_with("impossible memory"), "{reason}");
    turn_until(&decoders, || crashed(&decoders.glance()) == 1)?;
    answers.ask(&decoders, 1, &good, Urgency::Wanted)?;
    answers.wait(2, &decoders)?;
    assert_eq!(answers.drawn(), 1);
    Ok(())
}

/// The picture that is looked at overtakes the thumbnails that wait, what scrolls into view the rest; and
/// what is called off is not told.
fn what_is_waited_for_comes_first(template: &Template) -> Result<()> {
    let (good, _) = good_and("first", b"")?;
    let decoders = Decoders::new(template, DECODE, 1)?;
    let answers = Answers::default();
    let mut jobs = Vec::new();
    for number in 0..20 {
        let told = Rc::clone(&answers.0);
        let done = move |_: Option<u32>, result| told.borrow_mut().push((number, in_time(result)));
        jobs.push(decoders.submit(request(open(&good)?), Urgency::Rest, done));
    }
    // Nothing has begun: that takes a turn of the queue.
    decoders.reorder([(jobs[9].clone(), Urgency::Wanted), (jobs[4].clone(), Urgency::InView)]);
    jobs[5].cancel();
    answers.wait(19, &decoders)?;
    assert_eq!(answers.order()[..3], [9, 4, 0], "{:?}", answers.order());
    assert_eq!(answers.drawn(), 19);
    let report = decoders.glance();
    assert_eq!(report.failed.get(&Reason::Cancelled), Some(&1), "{report}");
    assert_eq!(pids(&report).len(), 1, "{report}");
    assert!(decoders.posture().is_some(), "{report}");
    Ok(())
}
