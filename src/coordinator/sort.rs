//! SORT over shards, where patterns name keys that follow from the elements.
//!
//! ```text
//! take the elements -> look up weights -> sort here -> look up what is shown -> store it, or reply
//! ```
//! Nobody knows the keys before the elements are there, so all shards are claimed for reading. A hop
//! asks every shard for all of its keys at once, with one operation for each pattern.
//!
//! Not here: SORT without such patterns ([`crate::lend`]), and what sorting is ([`commands::sort`]).

use base::cast;
use base::ids::ShardId;
use commands::sort::{KeyPattern, Options, Pattern, Taken, Text, arrange, reply, shown};
use commands::spec::{CommandError, Flags};

use crate::message::{Operation, Outcome, SortStep};
use crate::step::{Base, HopOutcome, Program, Step, push_operation};

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Sort {
    base: Base,
    stage: Stage,
    /// Read in the first step.
    options: Option<Options>,
    /// The elements; in order, and only those that are shown, once they are sorted.
    taken: Option<Taken>,
    /// Where the values of the hop under way belong: for each operation of a shard, in order, its
    /// pattern and its elements.
    asked: ByShard<Asked>,
    shown_count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Taking,
    Weighing,
    Getting,
    Storing,
}

#[derive(Debug)]
struct Asked {
    pattern: usize,
    elements: Vec<usize>,
    keys: Vec<Text>,
}

type ByShard<T> = Vec<(ShardId, Vec<T>)>;

/// For each pattern a value for each element.
type Values = Vec<Vec<Option<Text>>>;

impl Sort {
    pub(crate) fn new(base: Base) -> Self {
        Self {
            base,
            stage: Stage::Begin,
            options: None,
            taken: None,
            asked: Vec::new(),
            shown_count: 0,
        }
    }

    fn options(&self) -> &Options {
        self.options.as_ref().expect("the first step has read them")
    }

    /// Returns the patterns of GET, in order.
    fn patterns(&self) -> Vec<Pattern<'_>> {
        let words = self.options().get.iter();
        words
            .map(|&word| Pattern::of(self.base.args().word(word)))
            .collect()
    }

    fn begin(&mut self) -> Result<Step, CommandError> {
        let flags = self.base.request.command.declaration.flags;
        let options = Options::parse(self.base.args(), flags.has(Flags::WRITE))?;
        let elements = Operation::Sort(SortStep::Elements {
            db: self.base.request.db,
            key: self.base.key(1),
            touch: self.base.request.touch,
            order: options.order,
        });
        self.options = Some(options);
        self.stage = Stage::Taking;
        Ok(Step::Hop {
            operations: vec![(self.base.shard_of(1), vec![elements])],
            last: false,
        })
    }

    fn weigh(&mut self, taken: Taken) -> Result<Step, CommandError> {
        let by = self.options().by;
        let pattern = by.map(|word| Pattern::of(self.base.args().word(word)));
        let Some(Pattern::Key(pattern)) = pattern else {
            return self.arrange(taken, None);
        };
        self.stage = Stage::Weighing;
        let (operations, asked) = self.ask(&[pattern], &taken.elements);
        self.asked = asked;
        if operations.is_empty() {
            return self.arrange(taken, Some(Vec::new()));
        }
        self.taken = Some(taken);
        Ok(Step::Hop {
            operations,
            last: false,
        })
    }

    fn arrange(
        &mut self,
        taken: Taken,
        weights: Option<Vec<Option<Text>>>,
    ) -> Result<Step, CommandError> {
        let Taken {
            elements,
            order,
            window,
        } = taken;
        let elements = arrange(&order, elements, weights, window)?;
        let patterns = self.patterns();
        let of_keys = patterns.iter().filter_map(|pattern| match pattern {
            Pattern::Key(pattern) => Some(*pattern),
            Pattern::Element | Pattern::Nothing => None,
        });
        let of_keys: Vec<KeyPattern<'_>> = of_keys.collect();
        let (operations, asked) = self.ask(&of_keys, &elements);
        if operations.is_empty() {
            let values = of_keys.iter().map(|_| Vec::new()).collect();
            return Ok(self.finish(elements, values));
        }
        self.asked = asked;
        self.stage = Stage::Getting;
        self.taken = Some(Taken {
            window: 0..elements.len(),
            elements,
            order,
        });
        Ok(Step::Hop {
            operations,
            last: self.options().store.is_none(),
        })
    }

    fn finish(&mut self, elements: Vec<Text>, values: Values) -> Step {
        let shown = shown(elements, &self.patterns(), values);
        let Some(target) = self.options().store else {
            return self.base.done(|out| reply(out, &shown));
        };
        self.stage = Stage::Storing;
        self.shown_count = shown.len();
        let store = Operation::Sort(SortStep::Store {
            db: self.base.request.db,
            key: self.base.key(target),
            shown,
        });
        Step::Hop {
            operations: vec![(self.base.shard_of(target), vec![store])],
            last: true,
        }
    }

    /// Asks the shards for the keys that `patterns` name for `elements`.
    fn ask(
        &self,
        patterns: &[KeyPattern<'_>],
        elements: &[Text],
    ) -> (ByShard<Operation>, ByShard<Asked>) {
        let mut operations = Vec::new();
        let mut asked: ByShard<Asked> = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let mut by_shard: Vec<Asked> = Vec::new();
            by_shard.resize_with(usize::from(self.base.map.shard_count()), || Asked {
                pattern: index,
                elements: Vec::new(),
                keys: Vec::new(),
            });
            for (element, text) in elements.iter().enumerate() {
                let key = pattern.key(text);
                let part = &mut by_shard[usize::from(self.base.shard_of_key(&key).0)];
                part.elements.push(element);
                part.keys.push(key);
            }
            for (shard, mut part) in self.base.map.shards().zip(by_shard) {
                if part.keys.is_empty() {
                    continue;
                }
                let look_up = Operation::Sort(SortStep::LookUp {
                    db: self.base.request.db,
                    keys: std::mem::take(&mut part.keys),
                    field: pattern.field.map(Into::into),
                    touch: self.base.request.touch,
                });
                push_operation(&mut operations, shard, look_up);
                match asked.iter_mut().find(|(at, _)| *at == shard) {
                    Some((_, list)) => list.push(part),
                    None => asked.push((shard, vec![part])),
                }
            }
        }
        (operations, asked)
    }

    /// Brings the values that shards gave into the order of patterns and elements.
    fn collect(&mut self, outcomes: Vec<HopOutcome>, element_count: usize) -> Values {
        let mut values: Values = Vec::new();
        let mut asked = std::mem::take(&mut self.asked);
        for HopOutcome {
            shard, outcomes, ..
        } in outcomes
        {
            let place = asked.iter_mut().find(|(at, _)| *at == shard);
            let parts = place.map(|(_, parts)| std::mem::take(parts));
            for (part, outcome) in parts.into_iter().flatten().zip(outcomes) {
                if values.len() <= part.pattern {
                    values.resize_with(part.pattern + 1, || vec![None; element_count]);
                }
                if let Outcome::Values(given) = outcome {
                    for (element, value) in part.elements.into_iter().zip(given) {
                        values[part.pattern][element] = value;
                    }
                }
            }
        }
        values
    }

    fn advance(&mut self, outcomes: Vec<HopOutcome>) -> Result<Step, CommandError> {
        match self.stage {
            Stage::Begin => self.begin(),
            Stage::Taking => {
                let taken = outcomes.into_iter().flat_map(|hop| hop.outcomes).next();
                match taken {
                    Some(Outcome::Elements(taken)) => self.weigh((*taken)?),
                    _ => unreachable!("elements were asked for"),
                }
            }
            Stage::Weighing => {
                let taken = self.taken.take().expect("the elements are here");
                let mut values = self.collect(outcomes, taken.elements.len());
                let weights = values.pop();
                self.arrange(taken, weights)
            }
            Stage::Getting => {
                let taken = self.taken.take().expect("the elements are here");
                let values = self.collect(outcomes, taken.elements.len());
                Ok(self.finish(taken.elements, values))
            }
            Stage::Storing => {
                let count = cast::i64_from(self.shown_count);
                Ok(self.base.done(|reply| reply.integer(count)))
            }
        }
    }
}

impl Program for Sort {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        self.advance(outcomes)
            .unwrap_or_else(|error| self.base.fail(error))
    }
}
