//! The peers that a contender of this crate is compared with.

use crate::contenders::{self, Contender, Kind};
use crate::results::{Results, Row};

/// The choice of a peer.
#[derive(Clone, Copy)]
pub enum Against<'a> {
    /// The fastest of those that do the same: durable or not, sharing blocks or not, and in a guest by
    /// its own means.
    Best,
    /// The fastest of those that also keep the holes.
    BestSparse,
    One(&'a str),
}

/// A peer in a group.
pub struct Peer<'a> {
    pub row: &'a Row,
    pub keeps_holes: bool,
}

impl Peer<'_> {
    pub fn name(&self) -> &str {
        &self.row.contender
    }
}

/// Returns the peer of a contender in a group, if it took part.
pub fn peer<'a>(
    results: &'a Results,
    (work, on): (&str, &str),
    ours: &str,
    against: Against<'_>,
) -> Option<Peer<'a>> {
    results
        .group(work, on)
        .filter(|row| match against {
            Against::One(name) => row.contender == name,
            Against::Best => does_the_same(ours, row),
            Against::BestSparse => does_the_same(ours, row) && keeps_holes(results, row),
        })
        .min_by(|a, b| a.median().total_cmp(&b.median()))
        .map(|row| Peer {
            row,
            keeps_holes: keeps_holes(results, row),
        })
}

fn does_the_same(ours: &str, row: &Row) -> bool {
    let named = |name: &str| -> Option<&Contender> {
        contenders::ALL
            .iter()
            .find(|contender| contender.name == name)
    };
    let (Some(ours), Some(other)) = (named(ours), named(&row.contender)) else {
        return false;
    };
    let kinds: &[Kind] = match ours.name {
        contenders::SPARSE | contenders::SPARSE_DURABLE => &[Kind::Moving],
        contenders::GUEST_FAST | contenders::GUEST_FAST_DURABLE => &[Kind::Guest],
        _ => &[Kind::Sharing, Kind::Moving],
    };
    kinds.contains(&other.kind) && other.durable == ours.durable
}

/// Whether the copies of a contender keep the holes: they have at most a quarter more allocated than the
/// smallest copy of the group. On XFS those of `cp --reflink=never` have more, by speculative
/// preallocation.
pub fn keeps_holes(results: &Results, row: &Row) -> bool {
    let smallest = results
        .group(&row.work, &row.on)
        .filter_map(|row| row.allocated)
        .min();
    match (row.allocated, smallest) {
        (Some(taken), Some(smallest)) => taken <= smallest + smallest / 4,
        _ => true,
    }
}
