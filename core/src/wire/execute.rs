//! Flow 2: the order to become an external program.

use super::codec::{Body, Fields, garbage};
use crate::Result;

/// What a program is given as one of its three standard descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Given {
    Inherit = 0,
    Null = 1,
    /// The next descriptor that came with the order.
    Fd = 2,
}

/// Everything that makes an execution; the descriptors for `standard` and then `places` come with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Execute<'a> {
    pub program: &'a [u8],
    pub arg0: Option<&'a [u8]>,
    pub args: Vec<&'a [u8]>,
    pub clear_environment: bool,
    /// Variables to set, or to remove.
    pub environment: Vec<(&'a [u8], Option<&'a [u8]>)>,
    pub directory: Option<&'a [u8]>,
    pub process_group: Option<i32>,
    pub new_session: bool,
    pub dies_with_app: bool,
    pub standard: [Given; 3],
    /// The numbers that further descriptors get in the program.
    pub places: Vec<u32>,
}

impl<'a> Execute<'a> {
    pub(super) fn encode<'b, 'o>(&self, body: &'b mut Body<'o>) -> &'b mut Body<'o> {
        body.octets(self.program);
        option(body, self.arg0);
        body.u32(self.args.len() as u32);
        for arg in &self.args {
            body.octets(arg);
        }
        body.u8(self.clear_environment.into()).u32(self.environment.len() as u32);
        for (name, value) in &self.environment {
            body.octets(name);
            option(body, *value);
        }
        option(body, self.directory);
        body.u8(self.process_group.is_some().into());
        body.u32(self.process_group.unwrap_or(0) as u32);
        body.u8(self.new_session.into()).u8(self.dies_with_app.into());
        for given in self.standard {
            body.u8(given as u8);
        }
        body.u32(self.places.len() as u32);
        for place in &self.places {
            body.u32(*place);
        }
        body
    }

    pub(super) fn decode(fields: &mut Fields<'a>) -> Result<Self> {
        Ok(Execute {
            program: fields.octets()?,
            arg0: optional(fields)?,
            args: list(fields, Fields::octets)?,
            clear_environment: fields.flag()?,
            environment: list(fields, |fields| Ok((fields.octets()?, optional(fields)?)))?,
            directory: optional(fields)?,
            process_group: match (fields.flag()?, fields.u32()?) {
                (true, group) => Some(group as i32),
                (false, 0) => None,
                (false, _) => return Err(garbage("a process group that is none")),
            },
            new_session: fields.flag()?,
            dies_with_app: fields.flag()?,
            standard: [given(fields)?, given(fields)?, given(fields)?],
            places: list(fields, Fields::u32)?,
        })
    }
}

fn given(fields: &mut Fields<'_>) -> Result<Given> {
    match fields.u8()? {
        0 => Ok(Given::Inherit),
        1 => Ok(Given::Null),
        2 => Ok(Given::Fd),
        other => Err(garbage(format_args!("unknown standard descriptor {other}"))),
    }
}

fn option(body: &mut Body<'_>, octets: Option<&[u8]>) {
    body.u8(octets.is_some().into()).octets(octets.unwrap_or_default());
}

fn optional<'a>(fields: &mut Fields<'a>) -> Result<Option<&'a [u8]>> {
    match (fields.flag()?, fields.octets()?) {
        (true, octets) => Ok(Some(octets)),
        (false, b"") => Ok(None),
        (false, _) => Err(garbage("octets that are none")),
    }
}

/// A count and so many items; a count that lies ends with the octets, not with the memory.
fn list<'a, T>(
    fields: &mut Fields<'a>,
    mut item: impl FnMut(&mut Fields<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = fields.u32()?;
    (0..count).map(|_| item(fields)).collect()
}
