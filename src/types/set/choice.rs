//! Members by chance. Every choice is exactly as likely as any other of its size.
//!
//! Several different members are chosen in one of two ways: each member in turn is taken with the
//! chance of those still wanted among those still to come, which costs the whole set once; or members
//! are drawn until enough different ones came, which costs what is wanted as long as that is a small
//! part.

use std::{mem, ptr};

use base::random::{Random, Selection};

use super::{Form, Member, Rules, Set};
use crate::listpack::{Element, Listpack};
use crate::table::Element as _;

/// Drawing until enough are different pays when the set has this many times as many members.
const DRAWN_PART: usize = 3;

/// A set that keeps a smaller part of what leaves it than this is made anew, as in Redis: then it may
/// become an intset.
const KEPT_PART: usize = 5;

impl Set {
    /// Returns a member; `None` if there is none. O(1) expected, O(n) in a listpack.
    #[must_use]
    pub fn random(&self, random: &mut Random) -> Option<Element<'_>> {
        if self.is_empty() {
            return None;
        }
        match &self.form {
            Form::Integers(intset) => intset.get(random.index(intset.len())).map(Element::Integer),
            Form::Packed(listpack) => {
                let index = base::cast::i64_from(random.index(listpack.len()));
                listpack.position(index).map(|place| listpack.get(place))
            }
            Form::Table(table) => table
                .random(random)
                .map(|member| Element::Bytes(member.key())),
        }
    }

    /// Shows `count` members, each drawn from all. Shows nothing if there is none. O(count), and once
    /// O(n) in a listpack.
    pub fn draw(&self, count: u64, random: &mut Random, each: &mut dyn FnMut(Element<'_>)) {
        if self.is_empty() {
            return;
        }
        let all: Option<Vec<_>> = match &self.form {
            Form::Packed(listpack) => Some(listpack.iter().collect()),
            Form::Integers(_) | Form::Table(_) => None,
        };
        for _ in 0..count {
            let member = match &all {
                Some(all) => Some(all[random.index(all.len())]),
                None => self.random(random),
            };
            member.into_iter().for_each(&mut *each);
        }
    }

    /// Shows `count` different members, or all if there are no more. O(count) or O(n), whichever is
    /// less, but for listpacks.
    pub fn sample(&self, count: usize, random: &mut Random, each: &mut dyn FnMut(Element<'_>)) {
        let len = self.len();
        if count >= len {
            return self.iter().for_each(each);
        }
        let is_small_part = count < len / DRAWN_PART;
        let mut drawn = base::hash::Set::default();
        match &self.form {
            Form::Integers(intset) if is_small_part => {
                while drawn.len() < count {
                    let index = random.index(len);
                    if drawn.insert(index) {
                        intset
                            .get(index)
                            .map(Element::Integer)
                            .into_iter()
                            .for_each(&mut *each);
                    }
                }
            }
            Form::Table(table) if is_small_part => {
                while drawn.len() < count {
                    let Some(member) = table.random(random) else {
                        return;
                    };
                    // A member is where it is, as long as nothing changes.
                    if drawn.insert(ptr::from_ref(member).addr()) {
                        each(Element::Bytes(member.key()));
                    }
                }
            }
            Form::Integers(_) | Form::Packed(_) | Form::Table(_) => {
                let mut selection = Selection::new(count, len);
                self.iter()
                    .filter(|_| selection.takes_next(random))
                    .for_each(each);
            }
        }
    }

    /// Removes one member, which `each` is shown; shows nothing if there is none. Cost as
    /// [`Set::random`] and [`Set::remove`].
    pub fn pop(&mut self, random: &mut Random, each: &mut dyn FnMut(Element<'_>)) {
        match &mut self.form {
            Form::Integers(intset) => {
                if !intset.is_empty() {
                    let index = random.index(intset.len());
                    intset
                        .get(index)
                        .map(Element::Integer)
                        .into_iter()
                        .for_each(each);
                    intset.remove_at(index);
                }
            }
            Form::Packed(listpack) => {
                if !listpack.is_empty() {
                    let index = base::cast::i64_from(random.index(listpack.len()));
                    if let Some(place) = listpack.position(index) {
                        each(listpack.get(place));
                        listpack.remove(place);
                    }
                }
            }
            Form::Table(table) => {
                if let Some(member) = table.random(random).cloned() {
                    each(Element::Bytes(member.key()));
                    table.remove(member.key());
                }
            }
        }
    }

    /// Removes `count` different members, which `each` is shown; all if there are no more.
    ///
    /// If few stay, the set is made anew of them and may be an intset again. O(count), or O(n) where
    /// that is less than five times as much.
    pub fn pop_many(
        &mut self,
        count: usize,
        rules: &Rules,
        random: &mut Random,
        each: &mut dyn FnMut(Element<'_>),
    ) {
        let len = self.len();
        let kept = len.saturating_sub(count);
        let selection = Selection::new(kept, len);
        if kept.saturating_mul(KEPT_PART) <= count {
            return self.keep_few(selection, rules, random, each);
        }
        match &mut self.form {
            Form::Integers(intset) => {
                let mut selection = selection;
                intset.retain(|value| {
                    let stays = selection.takes_next(random);
                    if !stays {
                        each(Element::Integer(value));
                    }
                    stays
                });
            }
            Form::Packed(listpack) => {
                let mut selection = selection;
                let mut rest = Listpack::new();
                for member in listpack.iter() {
                    if selection.takes_next(random) {
                        rest.push_back(member);
                    } else {
                        each(member);
                    }
                }
                *listpack = rest;
            }
            Form::Table(_) => (0..count).for_each(|_| self.pop(random, each)),
        }
    }

    /// Makes the set anew of those that `selection` takes, and shows the others.
    fn keep_few(
        &mut self,
        mut selection: Selection,
        rules: &Rules,
        random: &mut Random,
        each: &mut dyn FnMut(Element<'_>),
    ) {
        let old = mem::take(self);
        let mut sort = |member: Element<'_>| {
            if selection.takes_next(random) {
                self.add(member, rules);
            } else {
                each(member);
            }
        };
        match old.form {
            Form::Table(table) => {
                let members = table.into_elements();
                members.for_each(|member: Member| sort(Element::Bytes(member.key())));
            }
            Form::Integers(_) | Form::Packed(_) => old.iter().for_each(sort),
        }
    }
}
