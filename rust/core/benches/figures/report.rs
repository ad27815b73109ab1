//! Tables on the screen, and the same figures as JSON.

use std::fmt::Write as _;

/// All figures of a run.
#[derive(Default)]
pub struct Report {
    json: Vec<String>,
    missed: Vec<String>,
}

/// One line of a table; `None` where a contender has no such figure.
pub struct Row<'a> {
    /// What was measured.
    pub what: &'a str,
    /// What the first column should not exceed.
    pub goal: Option<f64>,
    /// A figure for each contender.
    pub figures: Vec<Option<f64>>,
}

impl Report {
    /// Begins a table.
    pub fn head(&self, title: &str, names: &[&str]) {
        let mut line = format!("\n{title}\n{:<40}{:>8}", "", "goal");
        for name in names {
            write!(line, "{name:>16}").unwrap();
        }
        println!("{line}");
    }

    /// Adds a line to the table; only the first column is held to the goal.
    pub fn row(&mut self, part: &str, timers: usize, names: &[&str], row: &Row<'_>) {
        // The goals are for many timers: with few, what is paid once weighs most.
        let goal = row.goal.filter(|_| timers >= 100_000);
        let shown = goal.map_or_else(String::new, |goal| format!("{goal}"));
        let mut line = format!("{:<40}{shown:>8}", row.what);
        for (index, figure) in row.figures.iter().enumerate() {
            let held = goal.filter(|_| index == 0);
            let missed = held.zip(*figure).is_some_and(|(goal, figure)| figure > goal);
            let mark = if missed { "!" } else { "" };
            let text = figure.map_or_else(|| "-".to_owned(), |figure| plain(figure) + mark);
            write!(line, "{text:>16}").unwrap();
            if missed {
                self.missed.push(format!("{} at {timers}", row.what));
            }
            if let Some(figure) = figure {
                let name = names[index];
                self.json.push(format!(
                    "{{\"part\":\"{part}\",\"what\":\"{}\",\"timers\":{timers},\
                     \"contender\":\"{name}\",\"figure\":{figure:.4}}}",
                    row.what
                ));
            }
        }
        println!("{line}");
    }

    /// Writes the file and says which goals are missed.
    pub fn close(self) {
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/figures.json");
        std::fs::write(path, format!("[\n{}\n]\n", self.json.join(",\n"))).unwrap();
        if self.missed.is_empty() {
            println!("\nEvery goal is met.");
        } else {
            println!("\nGoals missed: {}.", self.missed.join("; "));
        }
    }
}

fn plain(figure: f64) -> String {
    if figure.abs() < 10.0 { format!("{figure:.2}") } else { format!("{figure:.1}") }
}

/// The goal that applies: goals are set for a million timers and for ten.
pub fn goal(timers: usize, at_1_m: f64, at_10_m: f64) -> Option<f64> {
    Some(if timers > 1_000_000 { at_10_m } else { at_1_m })
}
