//! Whom a contender of ours is judged against: who does the same.

use crate::contenders::{self, Contender, Kind};
use crate::results::{Results, Row};

/// What it is measured against.
#[derive(Clone, Copy)]
pub enum Against<'a> {
    /// The fastest that do the same: durable or not, sharing blocks or not, and in a guest the ways
    /// that it has without us.
    Best,
    /// The fastest of those that also keep the holes.
    BestSparse,
    One(&'a str),
}

/// Somebody to measure against.
pub struct Peer<'a> {
    pub row: &'a Row,
    pub keeps_holes: bool,
}

impl Peer<'_> {
    pub fn name(&self) -> &str {
        &self.row.contender
    }
}

/// The one that a contender is measured against at a piece of work, if it took part.
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

/// Whether a contender's copies have the holes of their source: who takes a quarter more than the
/// leanest of the group has filled some. XFS has `cp --reflink=never` do so, by what it allocates
/// ahead.
pub fn keeps_holes(results: &Results, row: &Row) -> bool {
    let leanest = results
        .group(&row.work, &row.on)
        .filter_map(|row| row.allocated)
        .min();
    match (row.allocated, leanest) {
        (Some(taken), Some(leanest)) => taken <= leanest + leanest / 4,
        _ => true,
    }
}
