//! What `check` found: the clause of the origin checklist, what is wrong, and where.

use std::fmt;

use serde::Serialize;

/// Distinct findings kept; a server that is wrong in more ways than this needs no longer list.
const MAX_DISTINCT: usize = 500;

/// One broken clause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Number in the origin checklist (docs/operations.md lists them).
    pub(crate) clause: u8,
    /// The rule as broken, without numbers that differ from time to time.
    pub(crate) what: String,
    /// Where and by how much it was first seen.
    #[serde(rename = "where")]
    pub(crate) at: String,
}

impl Finding {
    /// A finding from its three parts.
    pub(crate) fn new(clause: u8, what: impl Into<String>, at: impl Into<String>) -> Self {
        Self { clause, what: what.into(), at: at.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clause {}: {}, {}", self.clause, self.what, self.at)
    }
}

/// A finding and how often it was made.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Counted {
    #[serde(flatten)]
    pub(crate) finding: Finding,
    pub(crate) count: u64,
}

/// Findings without repeats: the first of each kind, and a count.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Counted>,
}

impl Findings {
    /// Adds one; a repeat of clause and rule only counts.
    pub(crate) fn add(&mut self, finding: Finding) {
        let known = self
            .list
            .iter_mut()
            .find(|c| c.finding.clause == finding.clause && c.finding.what == finding.what);
        match known {
            Some(c) => c.count += 1,
            None => {
                if self.list.len() < MAX_DISTINCT {
                    self.list.push(Counted { finding, count: 1 });
                }
            }
        }
    }

    /// Adds all of them.
    pub(crate) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|f| self.add(f));
    }

    /// Adds findings that were counted elsewhere.
    pub(crate) fn extend_counted(&mut self, counted: impl IntoIterator<Item = Counted>) {
        for c in counted {
            let (clause, what) = (c.finding.clause, c.finding.what.clone());
            self.add(c.finding);
            let same = |k: &&mut Counted| k.finding.clause == clause && k.finding.what == what;
            if let Some(known) = self.list.iter_mut().find(same) {
                known.count += c.count - 1;
            }
        }
    }

    /// By clause, in the order they were found within one.
    pub(crate) fn sorted(mut self) -> Vec<Counted> {
        self.list.sort_by_key(|c| c.finding.clause);
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_count_and_the_first_place_stays() {
        let mut f = Findings::default();
        f.extend([Finding::new(8, "x", "first"), Finding::new(1, "y", "-"), Finding::new(8, "x", "second")]);
        let list = f.sorted();
        assert_eq!(list.len(), 2);
        assert_eq!((list[0].finding.clause, list[1].count, list[1].finding.at.as_str()), (1, 2, "first"));
        assert_eq!(list[1].finding.to_string(), "clause 8: x, first");
    }
}
