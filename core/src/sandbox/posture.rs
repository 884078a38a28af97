//! Flow 2: what came of a sandbox in one process, rung by rung.

use super::{Hold, Rung};
use crate::{Error, ErrorKind, Result};
use std::fmt;

/// What holds in a process, rung by rung: the answer of [`Sandbox::apply`](super::Sandbox::apply).
///
/// A rung that was not asked for, or of which the kernel tells others nothing, is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Posture {
    /// In the order of [`Rung`], each at most once.
    pub(super) steps: Vec<Step>,
}

/// One rung of a [`Posture`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub rung: Rung,
    pub hold: Hold,
    /// At most DETAIL_MAX octets, without control characters.
    pub detail: String,
}

impl Step {
    /// Longest detail, in octets.
    pub(super) const DETAIL_MAX: usize = 200;
}

impl Posture {
    /// Adds a rung at its place, or replaces it; a detail that is too long is cut.
    pub(super) fn push(&mut self, rung: Rung, hold: Hold, detail: impl Into<String>) {
        let mut detail: String = detail.into().replace(char::is_control, " ");
        detail.truncate(detail.floor_char_boundary(Step::DETAIL_MAX));
        let step = Step { rung, hold, detail };
        match self.steps.binary_search_by_key(&rung, |step| step.rung) {
            Ok(at) => self.steps[at] = step,
            Err(at) => self.steps.insert(at, step),
        }
    }

    /// Lists the rungs: which, how far it holds, and the detail or reason, in one line or empty.
    pub fn rungs(&self) -> impl Iterator<Item = (Rung, Hold, &str)> {
        self.steps.iter().map(|step| (step.rung, step.hold, &*step.detail))
    }

    /// Tells how far a rung holds: [`Hold::Missing`] also when it is not in the posture.
    pub fn hold(&self, rung: Rung) -> Hold {
        self.find(rung).map_or(Hold::Missing, |step| step.hold)
    }

    /// Gives the detail or reason of a rung, where there is one.
    pub fn detail(&self, rung: Rung) -> Option<&str> {
        self.find(rung).map(|step| &*step.detail).filter(|detail| !detail.is_empty())
    }

    fn find(&self, rung: Rung) -> Option<&Step> {
        self.steps.iter().find(|step| step.rung == rung)
    }

    /// Refuses when a rung holds less than `least`.
    ///
    /// # Errors
    /// [`ErrorKind::Sandbox`], naming the rung, how far it holds, and why not further.
    pub fn require(&self, rung: Rung, least: Hold) -> Result<()> {
        let hold = self.hold(rung);
        if hold >= least {
            return Ok(());
        }
        let why = match self.find(rung) {
            None => "it was not asked for",
            Some(step) if step.detail.is_empty() => "no reason is known",
            Some(step) => &step.detail,
        };
        let what = match hold {
            Hold::Partly => "holds only partly",
            _ => "is missing",
        };
        Err(Error::new(ErrorKind::Sandbox, format!("sandbox: {rung} {what}: {why}")))
    }
}

impl fmt::Display for Posture {
    /// One line for each rung, without a newline after the last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{:17} {}", step.rung, step.hold)?;
            if !step.detail.is_empty() {
                write!(f, ": {}", step.detail)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn debian_12() -> Posture {
        let mut posture = Posture::default();
        posture.push(Rung::Network, Hold::Missing, "this kernel's Landlock has ABI 2");
        posture.push(Rung::Files, Hold::Partly, "Landlock ABI 2");
        posture.push(Rung::NoNewPrivs, Hold::Full, "");
        posture
    }

    #[test]
    fn a_minimum_is_refused_with_the_rung_and_why() {
        let posture = debian_12();
        posture.require(Rung::NoNewPrivs, Hold::Full).unwrap();
        posture.require(Rung::Files, Hold::Partly).unwrap();
        let refused = |rung| {
            let error = posture.require(rung, Hold::Full).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Sandbox);
            error.to_string()
        };
        assert_eq!(
            refused(Rung::Files),
            "sandbox: Landlock files holds only partly: Landlock ABI 2"
        );
        assert_eq!(refused(Rung::Seccomp), "sandbox: seccomp is missing: it was not asked for");
    }

    #[test]
    fn people_read_a_line_a_rung_in_the_ladder_s_order() {
        assert_eq!(
            debian_12().to_string(),
            "no new privileges holds\n\
             Landlock files    partly: Landlock ABI 2\n\
             Landlock network  missing: this kernel's Landlock has ABI 2"
        );
    }
}
