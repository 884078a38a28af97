//! Calls and what becomes of them, for tests of typed messages.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tine::rpc::{Builder, Call, Client, Error};
use tine::{Exit, Process};

use crate::told::eventually;

/// What a call will be told; more than once is a failure.
pub struct Answer<T> {
    told: Rc<RefCell<Vec<Result<T, Error>>>>,
    /// The app's handle of it.
    pub call: Call,
}

impl<T: 'static> Answer<T> {
    /// Makes a call with `make`, which is given its callback.
    ///
    /// # Panics
    /// When it is told inside the call.
    pub fn of(make: impl FnOnce(Box<dyn FnOnce(Result<T, Error>)>) -> Call) -> Answer<T> {
        let told = Rc::new(RefCell::new(Vec::new()));
        let hears = Rc::clone(&told);
        let call = make(Box::new(move |answer| hears.borrow_mut().push(answer)));
        assert!(told.borrow().is_empty(), "told inside the call");
        Answer { told, call }
    }

    /// Tells whether it was settled, and that it was not settled twice.
    ///
    /// # Panics
    /// When it was.
    pub fn is_settled(&self) -> bool {
        let times = self.told.borrow().len();
        assert!(times < 2, "settled {times} times");
        times == 1
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// What the call was told.
    ///
    /// # Panics
    /// When none comes in time.
    pub fn get(&self) -> Result<T, Error> {
        eventually("an answer", || self.is_settled().then_some(()));
        self.told.borrow_mut().remove(0)
    }
}

/// Makes a call.
pub fn call<Req: Serialize + ?Sized, Rep: DeserializeOwned + 'static>(
    client: &Client<Req, Rep>,
    request: &Req,
) -> Answer<Rep> {
    Answer::of(|callback| client.call(request, callback))
}

/// What is told of a worker, besides answers.
#[derive(Default)]
pub struct Fate {
    error: RefCell<Vec<Error>>,
    exit: RefCell<Vec<Exit>>,
    destroyed: Cell<bool>,
}

impl Fate {
    /// Has it hear what the client hears, and runs the process.
    ///
    /// # Panics
    /// When anything is told after the worker's end.
    pub fn run<Req: Serialize + ?Sized, Rep: DeserializeOwned + 'static>(
        builder: Builder<Req, Rep>,
        process: Process,
        entry: impl Into<String>,
    ) -> (Client<Req, Rep>, Rc<Fate>) {
        let fate = Rc::new(Fate::default());
        let [error, exit, destroyed] = [(); 3].map(|()| Rc::clone(&fate));
        let client = builder
            .on_error(move |told| {
                assert!(error.exit.borrow().is_empty(), "after the end: {told}");
                error.error.borrow_mut().push(told);
            })
            .on_exit(move |told| {
                assert!(!exit.destroyed.get(), "after everything: {told}");
                exit.exit.borrow_mut().push(told);
            })
            .on_destroy(move || {
                assert!(!destroyed.destroyed.replace(true), "destroyed once");
            })
            .run(process, entry);
        (client, fate)
    }

    /// Waits for the worker's end, and that everything else was told before; gives the error, if there was one.
    ///
    /// # Panics
    /// When none comes in time, or anything was told twice.
    pub fn end(&self) -> (Option<Error>, Exit) {
        let exit = eventually("a worker's end", || self.exit.borrow().last().cloned());
        tine::queue().dispatch().expect("a queue");
        assert_eq!(self.exit.borrow().len(), 1, "ended once");
        assert!(self.error.borrow().len() < 2, "{:?}", self.error.borrow());
        (self.error.borrow().last().cloned(), exit)
    }

    /// Waits until nothing more is to come, with neither client nor worker.
    ///
    /// # Panics
    /// When that is not told in time.
    pub fn destroyed(&self) {
        eventually("the last of it", || self.destroyed.get().then_some(()));
    }

    /// Tells whether nothing more is to come.
    pub fn is_destroyed(&self) -> bool {
        self.destroyed.get()
    }

    /// Waits for the channel's loss.
    ///
    /// # Panics
    /// When it does not come in time.
    pub fn error(&self) -> Error {
        eventually("an error", || self.error.borrow().last().cloned())
    }
}
