//! Makes the input of the target `calls` from bytes.

use arbitrary::{Arbitrary, Result, Unstructured};

use super::input::{At, Base, Changed, Copy, Name, PathText, Size, Step, Wanted, Way, Written};

impl<'a> Arbitrary<'a> for Base {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        // Most calls get a directory.
        Ok(match u.int_in_range(0..=15)? {
            0 => Self::ReadOnly,
            1 => Self::File,
            2 => Self::Unknown,
            3..=6 => Self::Inner,
            _ => Self::Whole,
        })
    }
}

impl<'a> Arbitrary<'a> for PathText {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=15)? {
            0 => Self::Any(u.arbitrary()?),
            1 => Self::Long(u.arbitrary()?),
            2 | 3 => Self::Names(vec![u.arbitrary()?]),
            // Most copies are possible.
            4..=13 => Self::File(u.arbitrary()?),
            _ => {
                let count = u.int_in_range(0..=6)?;
                Self::Names((0..count).map(|_| u.arbitrary()).collect::<Result<_>>()?)
            }
        })
    }
}

impl<'a> Arbitrary<'a> for Name {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(u.arbitrary()?))
    }
}

impl<'a> Arbitrary<'a> for At {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            base: u.arbitrary()?,
            path: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Wanted {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            replace: u.arbitrary()?,
            symlink_follow: u.arbitrary()?,
            require_reflink: u.arbitrary()?,
            dig_holes: u.arbitrary()?,
            not_durable: u.arbitrary()?,
            preserve_times: u.arbitrary()?,
            size: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Size {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=7)? {
            0 => Self::Huge,
            _ => Self::Small(u.arbitrary()?),
        })
    }
}

impl<'a> Arbitrary<'a> for Way {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=3)? {
            0 => Self::Call,
            1 => Self::Job,
            2 => Self::CancelledJob,
            _ => Self::DroppedJob,
        })
    }
}

impl<'a> Arbitrary<'a> for Copy {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            sparse: u.arbitrary()?,
            src: u.arbitrary()?,
            dst: u.arbitrary()?,
            wanted: u.arbitrary()?,
            way: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Written {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            blocks: u.arbitrary()?,
            count: u.arbitrary()?,
            rest: u.arbitrary()?,
            mode: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Changed {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(u.arbitrary()?))
    }
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=15)? {
            0 => Self::DiskUsage(u.arbitrary()?),
            1 => Self::SummarizeExtents(u.arbitrary()?),
            2 => Self::DataRanges(u.arbitrary()?, u.arbitrary()?),
            3 => Self::CanReflink(u.arbitrary()?, u.arbitrary()?),
            4 => Self::Write(u.arbitrary()?, u.arbitrary()?),
            5 => Self::Remove(u.arbitrary()?),
            6 => Self::Link(u.arbitrary()?, u.arbitrary()?),
            7 => Self::HardLink(u.arbitrary()?, u.arbitrary()?),
            8 => Self::Quota(u.arbitrary()?),
            _ => Self::Copy(u.arbitrary()?),
        })
    }
}
