//! The page about the workers: who they are, what they cost, and a way to see what happens when one is
//! killed.

use adw::prelude::*;
use gtk4::{gio, glib};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tine::pool::Report;
use tine::{Hold, Posture, Template};
use tine_viewer::decoders;

use crate::beside::beside;
use crate::memory::private_kib;
use crate::window::Window;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// The page while it is shown.
struct Page {
    window: glib::WeakRef<Window>,
    template: Template,
    group: adw::PreferencesGroup,
    about_template: adw::ActionRow,
    about_all: adw::ActionRow,
    about_sandbox: adw::ActionRow,
    rows: RefCell<HashMap<u32, adw::ActionRow>>,
    /// When it was last looked, and how many answers there were.
    before: RefCell<(Instant, u64)>,
}

/// Shows the page, in a window of its own.
pub fn show(window: &Window, template: &Template) -> adw::PreferencesWindow {
    let about_template = adw::ActionRow::builder().title("Template").build();
    let about_all = adw::ActionRow::builder().title("All Workers").build();
    let about_sandbox = adw::ActionRow::builder().title("Sandbox").build();
    let first = adw::PreferencesGroup::builder()
        .description(
            "Workers are forked from a template that never saw the toolkit. Each decodes pictures, and \
             a file that breaks one costs its own tile only.",
        )
        .build();
    first.add(&about_template);
    first.add(&about_all);
    first.add(&about_sandbox);
    let group = adw::PreferencesGroup::builder().title("Workers").build();
    let page = adw::PreferencesPage::new();
    page.add(&first);
    page.add(&group);
    let dialog = beside(window, "Workers", (520, 560), &page);
    let page = Rc::new(Page {
        window: window.downgrade(),
        template: template.clone(),
        group,
        about_template,
        about_all,
        about_sandbox,
        rows: RefCell::default(),
        before: RefCell::new((Instant::now(), 0)),
    });
    page.look();
    let looking = glib::timeout_add_local(EVERY, move || {
        page.look();
        glib::ControlFlow::Continue
    });
    let looking = RefCell::new(Some(looking));
    // It is closed, or goes with the window that it belongs to.
    dialog.connect_destroy(move |_| {
        if let Some(looking) = looking.take() {
            looking.remove();
        }
    });
    dialog.present();
    dialog
}

impl Page {
    /// The kernel takes a while to add up memory: it is asked in a thread.
    fn look(self: &Rc<Self>) {
        let Some(gallery) = self.window.upgrade().and_then(|window| window.gallery()) else {
            return;
        };
        let report = gallery.decoders().glance();
        let workers = decoders::pids(&report);
        let template = self.template.pid();
        let this = Rc::clone(self);
        glib::spawn_future_local(async move {
            let pids = workers.clone();
            let memory = gio::spawn_blocking(move || {
                let of = |pid: u32| private_kib(pid).unwrap_or(0);
                (template.map(of), pids.into_iter().map(of).collect::<Vec<_>>())
            });
            // A panic in there has said so.
            let Ok((of_template, of_workers)) = memory.await else { return };
            this.tell_template(template, of_template);
            this.tell_all(&report, gallery.decoders().posture(), &of_workers);
            this.tell_workers(&workers, &of_workers);
        });
    }

    fn tell_template(&self, pid: Option<u32>, kib: Option<u64>) {
        let text = match pid.zip(kib) {
            Some((pid, kib)) => format!("process {pid}, {} of its own", size(kib)),
            None => "not there; a new one comes with the next worker".into(),
        };
        self.about_template.set_subtitle(&text);
    }

    fn tell_all(&self, report: &Report, posture: Option<&Posture>, memory: &[u64]) {
        let (now, answered) = (Instant::now(), report.done);
        let (then, before) = self.before.replace((now, answered));
        let seconds = now.duration_since(then).as_secs_f64();
        let rate = answered.saturating_sub(before) as f64 / seconds.max(f64::EPSILON);
        self.about_all.set_subtitle(&format!(
            "{} started, {} lost, {} pictures tried again, {rate:.0} a second, {} of their own",
            report.started,
            decoders::crashed(report),
            report.retried,
            size(memory.iter().sum()),
        ));
        let posture = posture.map_or("told by the first worker".into(), describe);
        self.about_sandbox.set_subtitle(&posture);
    }

    fn tell_workers(self: &Rc<Self>, pids: &[u32], memory: &[u64]) {
        let mut rows = self.rows.borrow_mut();
        rows.retain(|pid, row| {
            let is_there = pids.contains(pid);
            if !is_there {
                self.group.remove(row);
            }
            is_there
        });
        for (&pid, &kib) in pids.iter().zip(memory) {
            let row = rows.entry(pid).or_insert_with(|| self.add_row(pid));
            row.set_subtitle(&format!("{} of its own", size(kib)));
        }
    }

    fn add_row(self: &Rc<Self>, pid: u32) -> adw::ActionRow {
        let row = adw::ActionRow::builder().title(format!("Process {pid}")).build();
        let kill = gtk4::Button::builder()
            .label("Kill")
            .tooltip_text(format!("Kill process {pid}"))
            .valign(gtk4::Align::Center)
            .build();
        let this = Rc::downgrade(self);
        kill.connect_clicked(move |_| {
            let Some(this) = this.upgrade() else { return };
            if let Some(gallery) = this.window.upgrade().and_then(|window| window.gallery()) {
                gallery.decoders().kill(pid);
            }
        });
        row.add_suffix(&kill);
        self.group.add(&row);
        row
    }
}

/// What of the sandbox holds, and what does not.
fn describe(posture: &Posture) -> String {
    let holding = |title: &str, wanted: Hold| {
        let rungs = posture.rungs().filter(|(_, hold, _)| *hold == wanted);
        let rungs: Vec<_> = rungs.map(|(rung, ..)| rung.to_string()).collect();
        (!rungs.is_empty()).then(|| format!("{title}: {}", rungs.join(", ")))
    };
    let lines = [("Holds", Hold::Full), ("Partly", Hold::Partly), ("Missing", Hold::Missing)];
    let lines: Vec<_> = lines.iter().filter_map(|(title, hold)| holding(title, *hold)).collect();
    lines.join("\n")
}

fn size(kib: u64) -> String {
    glib::format_size(kib * 1024).into()
}
