//! Flow 2, the far end: what the app has sent, in order.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use crate::{Error, ErrorKind, Result, Sandbox};

/// The descriptors and arguments that the app has sent, in the order sent.
#[derive(Debug, Default)]
pub struct Items {
    items: VecDeque<Item>,
    /// To be put on before the entry.
    pub(super) sandbox: Option<Box<Sandbox>>,
}

/// One thing that the app has sent.
#[derive(Debug)]
pub enum Item {
    /// A descriptor, close-on-exec.
    Fd(OwnedFd),
    /// Any octets.
    Arg(Vec<u8>),
}

impl Items {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn push(&mut self, item: Item) {
        self.items.push_back(item);
    }

    /// Takes the next descriptor, whatever arguments stand before it.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when none is left.
    pub fn take_fd(&mut self) -> Result<OwnedFd> {
        let at = self.items.iter().position(|item| matches!(item, Item::Fd(_)));
        match at.and_then(|at| self.items.remove(at)) {
            Some(Item::Fd(fd)) => Ok(fd),
            _ => Err(Error::new(ErrorKind::Misuse, "no descriptor is left that was sent")),
        }
    }

    /// Takes the next argument, whatever descriptors stand before it.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when none is left.
    pub fn take_arg(&mut self) -> Result<Vec<u8>> {
        let at = self.items.iter().position(|item| matches!(item, Item::Arg(_)));
        match at.and_then(|at| self.items.remove(at)) {
            Some(Item::Arg(octets)) => Ok(octets),
            _ => Err(Error::new(ErrorKind::Misuse, "no argument is left that was sent")),
        }
    }

    /// Takes the next thing, descriptor or argument.
    pub fn take(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// Takes all that is left.
    pub fn take_all(&mut self) -> impl Iterator<Item = Item> + use<> {
        std::mem::take(&mut self.items).into_iter()
    }

    /// Has `f` replace all descriptors by the same number of others.
    pub(super) fn replace_fds<E>(
        &mut self,
        f: impl FnOnce(Vec<OwnedFd>) -> Result<Vec<OwnedFd>, E>,
    ) -> Result<(), E> {
        let mut fds = Vec::new();
        let mut places = Vec::new();
        for item in std::mem::take(&mut self.items) {
            match item {
                Item::Fd(fd) => {
                    fds.push(fd);
                    places.push(None);
                }
                arg => places.push(Some(arg)),
            }
        }
        let mut fds = f(fds)?.into_iter();
        self.items = places
            .into_iter()
            .filter_map(|item| item.or_else(|| fds.next().map(Item::Fd)))
            .collect();
        Ok(())
    }
}

impl FromIterator<Item> for Items {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        Items { items: items.into_iter().collect(), sandbox: None }
    }
}
