//! What holding gave: how soon all were answered, and what it cost.

use std::{io::Write, time::Duration};

use anyhow::Result;
use reqwest::Url;
use serde::Serialize;

use super::waiter::Answer;
use crate::latency::report::Spread;

/// What a round's answers cost the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) cpu: Duration,
    pub(crate) answers: u32,
}

/// All rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Without its query.
    pub(crate) url: String,
    pub(crate) connections: u32,
    pub(crate) rounds: u32,
    pub(crate) failed: u64,
    /// From a round's first answer to its last; milliseconds, over the rounds.
    pub(crate) all_answered_ms: Option<Spread>,
    /// CPU of the server for one answer, the stream's own packaging included.
    pub(crate) cpu_us_an_answer: Option<f64>,
    /// Memory of the server that came with each connection and its waiting request.
    pub(crate) bytes_a_connection: Option<u64>,
    #[serde(skip)]
    spreads: Vec<f64>,
    #[serde(skip)]
    costs: Vec<Cost>,
}

impl Report {
    pub(crate) fn new(url: &Url, connections: u32, rounds: u32) -> Self {
        let mut url = url.clone();
        url.set_query(None);
        Self {
            url: url.to_string(),
            connections,
            rounds,
            failed: 0,
            all_answered_ms: None,
            cpu_us_an_answer: None,
            bytes_a_connection: None,
            spreads: Vec::new(),
            costs: Vec::new(),
        }
    }

    /// Adds a round; answers that are missing have failed.
    pub(crate) fn round(&mut self, answers: &[Answer]) {
        let good = answers.iter().filter(|a| a.good).count();
        self.failed += u64::from(self.connections) - good as u64;
        let times = || answers.iter().map(|a| a.at);
        if let (Some(first), Some(last)) = (times().min(), times().max()) {
            self.spreads.push((last - first).as_secs_f64() * 1000.0);
        }
        self.all_answered_ms = Spread::of(&self.spreads);
    }

    pub(crate) fn cost(&mut self, cost: Cost) {
        self.costs.push(cost);
        let cpu: Duration = self.costs.iter().map(|c| c.cpu).sum();
        let answers: f64 = self.costs.iter().map(|c| f64::from(c.answers)).sum();
        self.cpu_us_an_answer = Some(cpu.as_secs_f64() * 1e6 / answers.max(1.0));
    }

    /// The most that was seen.
    pub(crate) fn memory_when_held(&mut self, bytes: u64) {
        let each = bytes / u64::from(self.connections.max(1));
        self.bytes_a_connection = self.bytes_a_connection.max(Some(each));
    }

    /// The last round in a few words.
    pub(crate) fn last(&self) -> String {
        let ms = self.spreads.last().copied().unwrap_or_default();
        format!("all answered within {ms:.1} ms of the first, {} failed so far", self.failed)
    }

    /// Whether nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.failed == 0 && self.all_answered_ms.is_some()
    }

    /// Prints it as a table or as JSON.
    pub(crate) fn print(&self, json: bool) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if json {
            serde_json::to_writer(&mut out, self)?;
            return Ok(writeln!(out)?);
        }
        writeln!(out, "{} requests held, {} times; {} failed", self.connections, self.rounds, self.failed)?;
        if let Some(us) = self.cpu_us_an_answer {
            writeln!(out, "{us:.1} µs of the server's CPU an answer")?;
        }
        if let Some(bytes) = self.bytes_a_connection {
            writeln!(out, "{:.1} KiB of its memory a connection", bytes as f64 / 1024.0)?;
        }
        writeln!(out, "{:<24} {:>8} {:>8} {:>8} {:>8} {:>8}", "ms", "min", "median", "p95", "p99", "max")?;
        if let Some(s) = self.all_answered_ms {
            writeln!(out, "{:<24} {s}", "first to last answer")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn report() -> Report {
        Report::new(&"http://h/live/index.m3u8?token=x".parse().unwrap(), 3, 1)
    }

    #[test]
    fn a_round_is_as_long_as_its_slowest_answer() {
        let now = Instant::now();
        let at = |ms| Answer { at: now + Duration::from_millis(ms), good: true };
        let mut r = report();
        r.round(&[at(5), at(30), at(7)]);
        assert!(r.is_good() && r.last().contains("25.0 ms"), "{}", r.last());
        r.cost(Cost { cpu: Duration::from_millis(30), answers: 3 });
        r.memory_when_held(30);
        assert_eq!((r.cpu_us_an_answer, r.bytes_a_connection), (Some(10_000.0), Some(10)));
        assert!(!r.url.contains("token"));
    }

    #[test]
    fn a_missing_or_bad_answer_is_a_failure() {
        let answer = |good| Answer { at: Instant::now(), good };
        for round in [vec![answer(true), answer(true)], vec![answer(true), answer(false), answer(true)]] {
            let mut r = report();
            r.round(&round);
            assert!(!r.is_good());
        }
    }
}
