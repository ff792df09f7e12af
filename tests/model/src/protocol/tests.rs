//! That what is not searched twice is the same indeed.

use std::collections::{BTreeSet, HashSet};

use super::Protocol;
use super::gateway::Purchase;
use super::payment::{NONE, Payment};
use super::store::NOBODY;
use super::world::{Reported, World};
use crate::rows::{ROWS, Row};
use crate::search::Model;
use crate::setup::Fence;

/// How many walks are taken through a row, and how many steps each.
const WALKS: u64 = 60;
const STEPS: usize = 60;
/// After so many steps names begin anew, since there are only so many names for purchases.
const STEPS_WITH_NAMES: usize = 6;

fn follow(protocol: &Protocol, world: &World) -> Vec<World> {
    let mut follow = Vec::new();
    protocol.follow(world, &mut follow);
    follow.into_iter().map(|(_, next)| next).collect()
}

fn representatives(protocol: &Protocol, worlds: &[World]) -> BTreeSet<World> {
    let each = worlds.iter();
    each.map(|world| protocol.representative(world)).collect()
}

/// A walk through a row that takes any turn, the same one for the same seed.
fn walk(protocol: &Protocol, seed: u64) -> Vec<World> {
    let mut dice = seed;
    let mut at = protocol.start();
    let mut moments = vec![at];
    for step in 1..STEPS {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let ways = follow(protocol, &at);
        let Some(way) = usize::try_from(dice >> 33)
            .unwrap_or(0)
            .checked_rem(ways.len())
        else {
            break;
        };
        at = ways[way];
        if step % STEPS_WITH_NAMES == 0 {
            at = protocol.representative(&at);
        }
        moments.push(at);
    }
    moments
}

fn each_row(check: impl Fn(&Row, &Protocol, &World)) {
    for row in ROWS {
        let protocol = Protocol(row.setup);
        for world in (0..WALKS).flat_map(|seed| walk(&protocol, seed)) {
            check(row, &protocol, &world);
        }
    }
}

#[test]
fn what_stands_for_others_stands_for_itself() {
    each_row(|row, protocol, world| {
        let one = protocol.representative(world);
        assert_eq!(one, protocol.representative(&one), "{}", row.name);
    });
}

#[test]
fn what_stands_for_others_is_marked_and_judged_like_them() {
    each_row(|row, protocol, world| {
        let one = protocol.representative(world);
        assert_eq!(protocol.marks(&one), protocol.marks(world), "{}", row.name);
        let wrong = protocol.violation(world);
        assert_eq!(protocol.violation(&one), wrong, "{}", row.name);
    });
}

#[test]
fn what_stands_for_others_can_do_what_they_can() {
    each_row(|row, protocol, world| {
        let one = protocol.representative(world);
        let of_one = representatives(protocol, &follow(protocol, &one));
        let mut of_all = representatives(protocol, &follow(protocol, world));
        // What happens to a purchase that nobody knows of any more changes nothing.
        of_all.remove(&one);
        let missing: Vec<_> = of_all.difference(&of_one).collect();
        assert!(missing.is_empty(), "{}: {world}", row.name);
        let more: Vec<_> = of_one
            .difference(&of_all)
            .filter(|to| **to != one)
            .collect();
        assert!(more.is_empty(), "{}: {world}", row.name);
    });
}

/// What can be seen of a moment from outside: the record, its purchase, the ledger, the reports.
type Outline = (Payment, Option<Purchase>, u8, Reported);

fn outline(world: &World) -> Outline {
    let mut payment = *world.payment();
    let id = std::mem::take(&mut payment.purchase);
    if let Some(open) = &mut payment.open {
        open.opened_by = NOBODY;
    }
    let purchase = (id != NONE).then(|| *world.gateway.purchase(id));
    (payment, purchase, world.gateway.taken, world.reported)
}

fn outlines(protocol: &Protocol) -> BTreeSet<Outline> {
    let mut known = HashSet::from([protocol.start()]);
    let mut open = vec![protocol.start()];
    while let Some(world) = open.pop() {
        let nexts = representatives(protocol, &follow(protocol, &world));
        open.extend(nexts.into_iter().filter(|next| known.insert(*next)));
    }
    known.iter().map(outline).collect()
}

#[test]
fn what_is_forgotten_of_lost_claims_makes_no_difference() {
    let mut setup = Row::named("park_numbered").expect("a row").setup;
    let all = outlines(&Protocol(setup));
    setup.rules.fence = Fence::Nonce;
    assert!(outlines(&Protocol(setup)) == all);
}
