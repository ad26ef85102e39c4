//! Sets: distinct byte strings.
//!
//! A set takes one of three forms and goes only downwards by itself:
//!
//! | Form | Members | OBJECT ENCODING |
//! |---|---|---|
//! | [`Intset`] | integers, up to `set-max-intset-entries` | `intset` |
//! | [`Listpack`] | up to `set-max-listpack-entries`, each up to `set-max-listpack-value` | `hashtable` |
//! | [`Table`] | any | `hashtable` |
//!
//! The names and the moments are those of Redis 7.0, which has no listpacks of sets: to clients, the
//! second form is a table.
//!
//! Invariants
//! - An empty set is an empty intset without memory, unless its last member was removed from another
//!   form.
//! - Of a listpack, no two elements read alike.
//!
//! Members are read as [`Element`]s, so that no integer is spelled out only to be compared.
//!
//! Not here: which sets there are, what is done with several of them (`commands`).

mod choice;
mod member;

use std::fmt;

use base::hash::KeyHasher;

use crate::Limits;
use crate::intset::{self, Intset};
use crate::listpack::{self, Element, Listpack};
use crate::table::{Element as _, Table};
use member::Member;

/// Most members of an intset, whatever the configuration says, as in Redis.
const INTSET_ENTRIES_MAX: usize = 1 << 30;

/// Most members of a listpack, whatever the configuration says: beyond, it does not know its length.
const LISTPACK_ENTRIES_MAX: usize = 65_534;

/// A set of byte strings. See the module for its forms.
#[derive(Clone, Default)]
pub struct Set {
    form: Form,
}

#[derive(Clone)]
enum Form {
    Integers(Intset),
    Packed(Listpack),
    Table(Box<Table<Member>>),
}

impl Default for Form {
    fn default() -> Self {
        Self::Integers(Intset::new())
    }
}

/// What decides the form of a set that grows.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    intset_entries: usize,
    listpack_entries: usize,
    listpack_value: usize,
    hash_seed: (u64, u64),
}

impl Rules {
    /// Takes the thresholds of sets, and the seed of the hash of members.
    #[must_use]
    pub fn new(limits: &Limits, hash_seed: (u64, u64)) -> Self {
        Self {
            intset_entries: limits.set_intset_entries.min(INTSET_ENTRIES_MAX),
            listpack_entries: limits.set_listpack_entries.min(LISTPACK_ENTRIES_MAX),
            listpack_value: limits.set_listpack_value,
            hash_seed,
        }
    }

    /// Returns whether `count` members of up to `len` bytes fit a listpack.
    fn allow_listpack(&self, count: usize, len: usize) -> bool {
        count <= self.listpack_entries && len <= self.listpack_value
    }
}

impl Set {
    /// Wraps an intset, such as a payload of RESTORE has.
    #[must_use]
    pub fn from_intset(intset: Intset) -> Self {
        Self {
            form: Form::Integers(intset),
        }
    }

    /// Wraps a listpack in which no member is twice.
    pub(crate) fn of_listpack(members: Listpack) -> Self {
        Self {
            form: Form::Packed(members),
        }
    }

    /// Returns the listpack, if the set has this form.
    #[inline]
    pub(crate) fn as_listpack(&self) -> Option<&Listpack> {
        match &self.form {
            Form::Packed(listpack) => Some(listpack),
            Form::Integers(_) | Form::Table(_) => None,
        }
    }

    /// Returns the memory of an intset or a listpack, with its contents.
    pub(crate) fn into_memory(self) -> Vec<u8> {
        match self.form {
            Form::Integers(intset) => intset.into_memory(),
            Form::Packed(listpack) => listpack.into_memory(),
            Form::Table(_) => Vec::new(),
        }
    }

    /// Returns the intset, if the set has this form.
    #[inline]
    #[must_use]
    pub fn as_intset(&self) -> Option<&Intset> {
        match &self.form {
            Form::Integers(intset) => Some(intset),
            Form::Packed(_) | Form::Table(_) => None,
        }
    }

    /// Returns the number of members. O(1).
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Integers(intset) => intset.len(),
            Form::Packed(listpack) => listpack.len(),
            Form::Table(table) => table.len(),
        }
    }

    /// Returns whether there is no member. O(1).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the name of the encoding as Redis 7.0 has it: `intset` or `hashtable`.
    #[must_use]
    pub fn encoding_name(&self) -> &'static str {
        match self.form {
            Form::Integers(_) => "intset",
            Form::Packed(_) | Form::Table(_) => "hashtable",
        }
    }

    /// Returns the bytes allocated; `round` turns a request into what the allocator takes. O(1).
    #[must_use]
    pub fn allocated_bytes(&self, round: fn(usize) -> usize) -> usize {
        match &self.form {
            Form::Integers(intset) => round(intset.allocated_len()),
            Form::Packed(listpack) => round(listpack.capacity_bytes()),
            Form::Table(table) => round(size_of::<Table<Member>>()) + table.allocated_bytes(),
        }
    }

    /// Frees about `elements` members; returns whether there is more. What is left is good for
    /// nothing else. O(elements).
    pub fn free_step(&mut self, elements: usize) -> bool {
        match &mut self.form {
            Form::Integers(_) | Form::Packed(_) => false,
            Form::Table(table) => table.free_step(elements),
        }
    }

    /// Returns about how many allocations there are to free. O(1).
    #[must_use]
    pub fn free_effort(&self) -> usize {
        match &self.form {
            Form::Integers(_) | Form::Packed(_) => 1,
            Form::Table(table) => table.len().max(1),
        }
    }

    /// Returns whether `member` is one. O(log n) in an intset, O(n) in a listpack, O(1) in a table.
    #[must_use]
    pub fn contains<'m>(&self, member: impl Into<Element<'m>>) -> bool {
        let member = member.into();
        match &self.form {
            Form::Integers(intset) => member.integer().is_some_and(|value| intset.contains(value)),
            Form::Packed(listpack) => position(listpack, member).is_some(),
            Form::Table(table) => member.with_bytes(|bytes| table.contains(bytes)),
        }
    }

    /// Adds `member`, in another form if need be, and returns whether it was none.
    ///
    /// Cost: as [`Set::contains`], O(n) where the form changes.
    pub fn add<'m>(&mut self, member: impl Into<Element<'m>>, rules: &Rules) -> bool {
        let member = member.into();
        match &mut self.form {
            Form::Integers(intset) => match member.integer() {
                Some(value) => {
                    let is_new = intset.insert(value);
                    if is_new && intset.len() > rules.intset_entries {
                        self.leave_intset(rules, 0, 0);
                    }
                    is_new
                }
                None => {
                    self.leave_intset(rules, 1, member.len());
                    self.add(member, rules)
                }
            },
            Form::Packed(listpack) => {
                if position(listpack, member).is_some() {
                    return false;
                }
                if rules.allow_listpack(listpack.len() + 1, member.len())
                    && listpack.would_fit(Listpack::encoded_bytes(member))
                {
                    listpack.push_back(member);
                    return true;
                }
                self.make_table(rules);
                self.add(member, rules)
            }
            Form::Table(table) => member.with_bytes(|bytes| {
                // Most that is there already must not allocate.
                !table.contains(bytes) && table.insert(Member::new(bytes)).is_none()
            }),
        }
    }

    /// Removes `member` and returns whether it was one. O(n) in an intset and a listpack, O(1) in a
    /// table.
    pub fn remove<'m>(&mut self, member: impl Into<Element<'m>>) -> bool {
        let member = member.into();
        match &mut self.form {
            Form::Integers(intset) => member.integer().is_some_and(|value| intset.remove(value)),
            Form::Packed(listpack) => match position(listpack, member) {
                Some(position) => {
                    listpack.remove(position);
                    true
                }
                None => false,
            },
            Form::Table(table) => member.with_bytes(|bytes| table.remove(bytes).is_some()),
        }
    }

    /// Iterates over all members: ascending in an intset, otherwise in no order that means anything.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(match &self.form {
            Form::Integers(intset) => Inner::Integers(intset.iter()),
            Form::Packed(listpack) => Inner::Packed(listpack.iter()),
            Form::Table(table) => Inner::Table(Box::new(table.iter())),
        })
    }

    /// Shows members from `cursor` on, about `count` of them, and returns the cursor to go on with,
    /// 0 at the end; a scan begins with 0. Any cursor is good.
    ///
    /// A member that stays from the first call to the last is shown, whatever becomes of the set
    /// meanwhile, its form included: a cursor says which hashes are left, and what is no table is
    /// shown whole. O(count), O(n) where there is no table.
    pub fn scan(&self, cursor: u64, count: usize, each: &mut dyn FnMut(Element<'_>)) -> u64 {
        match &self.form {
            Form::Integers(_) | Form::Packed(_) => {
                self.iter().for_each(each);
                0
            }
            Form::Table(table) => table.scan(cursor, count, &mut |member| {
                each(Element::Bytes(member.key()));
            }),
        }
    }

    /// Leaves the intset for what will hold `more` further members of up to `len` bytes.
    fn leave_intset(&mut self, rules: &Rules, more: usize, len: usize) {
        let Form::Integers(intset) = &mut self.form else {
            return;
        };
        if intset.is_empty() && rules.allow_listpack(more, len) {
            let memory = std::mem::take(intset).into_memory();
            self.form = Form::Packed(Listpack::empty_in(memory));
            return;
        }
        // Of integers, the longest are at the ends.
        let ends = [
            intset.get(0),
            intset
                .len()
                .checked_sub(1)
                .and_then(|last| intset.get(last)),
        ];
        let longest = ends
            .iter()
            .flatten()
            .map(|&end| Element::Integer(end).len());
        let longest = longest.fold(len, usize::max);
        if rules.allow_listpack(intset.len() + more, longest) {
            let mut listpack = Listpack::new();
            listpack.extend(intset.iter().map(Element::Integer));
            self.form = Form::Packed(listpack);
        } else {
            self.make_table(rules);
        }
    }

    fn make_table(&mut self, rules: &Rules) {
        let mut table = Table::new(KeyHasher::new(rules.hash_seed));
        for member in self.iter() {
            table.insert(member.with_bytes(Member::new));
        }
        self.form = Form::Table(Box::new(table));
    }
}

impl PartialEq for Set {
    /// Compares the members; equal sets may have different forms.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|member| other.contains(member))
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |member: Element<'_>| member.with_bytes(|it| it.escape_ascii().to_string());
        formatter
            .debug_set()
            .entries(self.iter().map(text))
            .finish()
    }
}

impl<'a> IntoIterator for &'a Set {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The members of a set.
pub struct Iter<'a>(Inner<'a>);

enum Inner<'a> {
    Integers(intset::Iter<'a>),
    Packed(listpack::Iter<'a>),
    Table(Box<dyn Iterator<Item = &'a Member> + 'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match &mut self.0 {
            Inner::Integers(integers) => integers.next().map(Element::Integer),
            Inner::Packed(packed) => packed.next(),
            Inner::Table(members) => members.next().map(|member| Element::Bytes(member.key())),
        }
    }
}

#[inline]
fn position(listpack: &Listpack, member: Element<'_>) -> Option<listpack::Position> {
    listpack.find(listpack.first()?, member, 0)
}

#[cfg(test)]
mod tests;
