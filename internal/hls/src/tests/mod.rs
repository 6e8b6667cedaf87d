//! Clause tests (the origin checklist's numbers) and legality over random histories.

mod clauses;
mod histories;
mod legality;
