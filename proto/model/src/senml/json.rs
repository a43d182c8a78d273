//! Records of a pack in JSON (RFC 8428 section 5).

use super::{Fields, Label, SenmlError, set};
use crate::{
    json::{List, NotJson, Scanner},
    limits::PACK_DEPTH_MAX,
};

pub(super) struct Records<'a> {
    scan: Scanner<'a>,
    list: List,
}

impl<'a> Records<'a> {
    pub(super) fn open(payload: &'a [u8]) -> Result<Self, SenmlError> {
        let text = core::str::from_utf8(payload)
            .map_err(|error| NotJson { at: error.valid_up_to(), why: "not UTF-8" })?;
        let mut scan = Scanner::new(text);
        let list = scan.open_array()?;
        Ok(Self { scan, list })
    }

    /// Reads the next record into `fields`; `false` at the end of the pack.
    #[inline]
    pub(super) fn read(
        &mut self,
        fields: &mut Fields<'a>,
        number: usize,
    ) -> Result<bool, SenmlError> {
        if !self.scan.item(&mut self.list)? {
            self.scan.end()?;
            return Ok(false);
        }
        let mut members = self.scan.open_object()?;
        while let Some(name) = self.scan.member(&mut members)? {
            match label(&name) {
                Some(label) => self.field(label, fields, number)?,
                None if name.ends_with('_') => {
                    let why = "it has a field that must be understood and is not";
                    return Err(SenmlError::Record(number, why));
                }
                None => self.scan.skip(PACK_DEPTH_MAX)?,
            }
        }
        Ok(true)
    }

    #[inline]
    fn field(
        &mut self,
        label: Label,
        fields: &mut Fields<'a>,
        number: usize,
    ) -> Result<(), SenmlError> {
        let scan = &mut self.scan;
        let done = match label {
            Label::BaseVersion => set(&mut fields.base_version, scan.number()?),
            Label::BaseName => set(&mut fields.base_name, scan.string()?),
            Label::BaseTime => set(&mut fields.base_time, scan.number()?),
            Label::BaseUnit => set(&mut fields.base_unit, scan.string()?),
            Label::BaseValue => set(&mut fields.base_value, scan.number()?),
            Label::BaseSum => set(&mut fields.base_sum, scan.number()?),
            Label::Name => set(&mut fields.name, scan.string()?),
            Label::Unit => set(&mut fields.unit, scan.string()?),
            Label::Value => set(&mut fields.value, scan.number()?),
            Label::Text => set(&mut fields.text, scan.string()?),
            Label::Truth => set(&mut fields.truth, scan.boolean()?),
            Label::Sum => set(&mut fields.sum, scan.number()?),
            Label::Time => set(&mut fields.time, scan.number()?),
            Label::Update => set(&mut fields.update, scan.number()?),
            Label::Data => set(&mut fields.data, scan.string()?),
        };
        done.map_err(|why| SenmlError::Record(number, why))
    }
}

#[inline]
fn label(name: &str) -> Option<Label> {
    Some(match name {
        "n" => Label::Name,
        "v" => Label::Value,
        "t" => Label::Time,
        "u" => Label::Unit,
        "vs" => Label::Text,
        "vb" => Label::Truth,
        "vd" => Label::Data,
        "s" => Label::Sum,
        "ut" => Label::Update,
        "bn" => Label::BaseName,
        "bt" => Label::BaseTime,
        "bu" => Label::BaseUnit,
        "bv" => Label::BaseValue,
        "bs" => Label::BaseSum,
        "bver" => Label::BaseVersion,
        _ => return None,
    })
}
