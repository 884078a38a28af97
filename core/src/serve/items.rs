//! Flow 2, the far end: what the app has sent, in order.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use crate::{Error, ErrorKind, Result, Sandbox};

/// The descriptors and arguments that the app has sent, in the order sent.
#[derive(Debug, Default)]
pub struct Items {
    /// Most processes have none, and then nothing to move or to drop.
    #[expect(clippy::box_collection, reason = "a process enters no code for what is not there")]
    items: Option<Box<VecDeque<Item>>>,
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
        self.items.as_ref().is_none_or(|items| items.is_empty())
    }

    pub(super) fn push(&mut self, item: Item) {
        self.items.get_or_insert_default().push_back(item);
    }

    /// Takes the next descriptor, whatever arguments stand before it.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when none is left.
    pub fn take_fd(&mut self) -> Result<OwnedFd> {
        match self.take_first(|item| matches!(item, Item::Fd(_))) {
            Some(Item::Fd(fd)) => Ok(fd),
            _ => Err(Error::new(ErrorKind::Misuse, "no descriptor is left that was sent")),
        }
    }

    /// Takes the next argument, whatever descriptors stand before it.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when none is left.
    pub fn take_arg(&mut self) -> Result<Vec<u8>> {
        match self.take_first(|item| matches!(item, Item::Arg(_))) {
            Some(Item::Arg(octets)) => Ok(octets),
            _ => Err(Error::new(ErrorKind::Misuse, "no argument is left that was sent")),
        }
    }

    /// Takes the next thing, descriptor or argument.
    pub fn take(&mut self) -> Option<Item> {
        self.items.as_mut()?.pop_front()
    }

    /// Takes all that is left.
    pub fn take_all(&mut self) -> impl Iterator<Item = Item> + use<> {
        self.items.take().map(|items| *items).unwrap_or_default().into_iter()
    }

    fn take_first(&mut self, is_it: impl FnMut(&Item) -> bool) -> Option<Item> {
        let items = self.items.as_mut()?;
        let at = items.iter().position(is_it)?;
        items.remove(at)
    }

    /// Has `f` replace all descriptors by the same number of others.
    pub(super) fn replace_fds<E>(
        &mut self,
        f: impl FnOnce(Vec<OwnedFd>) -> Result<Vec<OwnedFd>, E>,
    ) -> Result<(), E> {
        let mut fds = Vec::new();
        let mut places = Vec::new();
        for item in self.take_all() {
            match item {
                Item::Fd(fd) => {
                    fds.push(fd);
                    places.push(None);
                }
                arg => places.push(Some(arg)),
            }
        }
        let mut fds = f(fds)?.into_iter();
        *self = Items {
            sandbox: self.sandbox.take(),
            ..places
                .into_iter()
                .filter_map(|item| item.or_else(|| fds.next().map(Item::Fd)))
                .collect()
        };
        Ok(())
    }
}

impl FromIterator<Item> for Items {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        let items: VecDeque<_> = items.into_iter().collect();
        Items { items: (!items.is_empty()).then(|| Box::new(items)), sandbox: None }
    }
}
