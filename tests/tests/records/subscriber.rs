//! A subscriber that keeps each record as a line, after the spans that it was made in.

use std::cell::Cell;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, MutexGuard};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[derive(Clone)]
pub struct Recorder {
    seen: Arc<Mutex<Seen>>,
    call: Arc<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Seen {
    /// Name and fields of each span, by its id less 1.
    spans: Vec<(&'static str, String)>,
    entered: Vec<usize>,
    records: Vec<String>,
}

thread_local! {
    /// What is recorded while something is recorded is not.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// `name=value`, with spaces between; the message first.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        // Writing to a string does not fail.
        let _never = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, "{name}={value:?}"),
        };
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder::calling(|| ())
    }
}

impl Recorder {
    /// A recorder that calls this for each record.
    pub fn calling(call: impl Fn() + Send + Sync + 'static) -> Self {
        Recorder { seen: Arc::default(), call: Arc::new(call) }
    }

    /// All records so far.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen().records)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no panic under the lock")
    }
}

fn index(id: &Id) -> usize {
    id.into_u64() as usize - 1
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("tine::")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text::default();
        span.record(&mut text);
        let mut seen = self.seen();
        seen.spans.push((span.metadata().name(), text.0));
        Id::from_u64(seen.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut seen = self.seen();
        let fields = &mut seen.spans[index(span)].1;
        let mut text = Text(std::mem::take(fields));
        values.record(&mut text);
        *fields = text.0;
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if BUSY.replace(true) {
            return;
        }
        (self.call)();
        let mut text = Text::default();
        event.record(&mut text);
        let mut seen = self.seen();
        let mut line = String::new();
        for entered in &seen.entered {
            let (name, fields) = &seen.spans[*entered];
            line.push_str(name);
            if !fields.is_empty() {
                line.push_str(&format!("{{{fields}}}"));
            }
            line.push_str(": ");
        }
        seen.records.push(line + &text.0);
        BUSY.set(false);
    }

    fn enter(&self, span: &Id) {
        self.seen().entered.push(index(span));
    }

    fn exit(&self, span: &Id) {
        let mut seen = self.seen();
        let place = seen.entered.iter().rposition(|entered| *entered == index(span));
        seen.entered.remove(place.expect("it was entered"));
    }
}
