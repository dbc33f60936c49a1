//! A row of the table: the runs of one fault.

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::rig::Build;
use super::trial::{Outcome, Trial};

/// Later than T by more than this many seconds is too late.
pub const GOAL_AFTER_T: f64 = 3.0;

/// The runs of one fault on one kind of host.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was done.
    pub trial: Trial,
    /// T in seconds.
    pub timeout_s: u32,
    /// How many hosts there were.
    pub hosts: usize,
    /// What was measured.
    pub runs: Vec<Outcome>,
}

/// Smallest, middle and largest of some figures; nothing of none.
pub fn spread(mut figures: Vec<f64>) -> Option<[f64; 3]> {
    figures.sort_by(f64::total_cmp);
    let (first, last) = (*figures.first()?, *figures.last()?);
    let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
    Some([first, f64::midpoint(low, high), last])
}

/// Three figures for a person.
pub fn shown(figures: Option<[f64; 3]>) -> String {
    figures
        .map_or("-".to_owned(), |figures| figures.map(|figure| format!("{figure:.2}")).join(" / "))
}

fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

impl Row {
    /// The row of these runs.
    pub fn new(trial: Trial, build: &Build, runs: Vec<Outcome>) -> Self {
        Self { trial, timeout_s: build.timeout_s, hosts: build.hosts, runs }
    }

    fn spread(&self, figure: impl Fn(&Outcome) -> Option<f64>) -> Option<[f64; 3]> {
        spread(self.runs.iter().filter_map(figure).collect())
    }

    /// How many hosts were reset that had suffered nothing.
    pub fn false_fences(&self) -> usize {
        self.runs.iter().map(|run| run.false_fences).sum()
    }

    /// How many runs excluded the victim later than T and three seconds.
    pub fn late(&self) -> usize {
        let goal = f64::from(self.timeout_s) + GOAL_AFTER_T;
        self.runs.iter().filter(|run| run.excluded.is_some_and(|s| s > goal)).count()
    }

    /// In how many runs the victim was known dead before it was reset.
    pub fn too_early(&self) -> usize {
        self.runs.iter().filter(|run| run.too_early).count()
    }

    /// What did not happen at all.
    pub fn missing(&self) -> Vec<&'static str> {
        self.runs.iter().filter_map(|run| run.missing).collect()
    }

    fn load(&self) -> f64 {
        self.runs.iter().map(|run| run.load).fold(0.0, f64::max)
    }

    /// For scripts: the worst of the runs as a number, `…_spread` as smallest, middle, largest.
    pub fn object(&self) -> Value {
        let mut object = json!({
            "fault": self.trial.harm.word(), "on": self.trial.on(), "timeout": self.timeout_s,
            "hosts": self.hosts, "runs": self.runs.len(), "false_fences": self.false_fences(),
            "late": self.late(), "too_early": self.too_early(), "missing": self.missing(),
            "load": self.load(),
            "network": self.runs.first().map(|run| run.network),
        });
        let figures = [
            ("fenced", self.spread(|run| run.fenced)),
            ("excluded", self.spread(|run| run.excluded)),
            ("master", self.spread(|run| run.master)),
            ("after_reset", self.spread(|run| run.after_reset)),
        ];
        for (name, figures) in figures {
            object[name] = json!(figures.map(|[_, _, worst]| rounded(worst)));
            object[format!("{name}_spread")] = json!(figures.map(|all| all.map(rounded)));
        }
        object
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.trial.harm.word().to_owned(),
            self.trial.on().to_owned(),
            self.runs.len().to_string(),
            shown(self.spread(|run| run.fenced)),
            shown(self.spread(|run| run.excluded)),
            shown(self.spread(|run| run.after_reset)),
            shown(self.spread(|run| run.master)),
            self.false_fences().to_string(),
            format!("{:.1}", self.load()),
        ]
    }
}

/// A table of the lab.
pub fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(heads);
    table
}

/// The rows for a person.
pub fn show(rows: &[Row]) -> String {
    let mut table = table(&[
        "fault",
        "on",
        "runs",
        "fenced",
        "excluded",
        "after the reset",
        "master",
        "false fences",
        "load",
    ]);
    for row in rows {
        table.add_row(row.cells());
    }
    let mut text = format!(
        "{table}\nseconds as smallest / middle / largest of the runs. fenced: from the fault to \
         the reset by the watchdog; excluded: from the\nfault until every other host has a view \
         without the victim and knows it dead; after the reset: the difference;\nmaster: from the \
         first host that knows until one that knows may act as master"
    );
    for row in rows {
        let (fault, on) = (row.trial.harm.word(), row.trial.on());
        if row.too_early() > 0 {
            text.push_str(&format!("\n{fault} on the {on}: known dead BEFORE its reset"));
        }
        for missing in row.missing() {
            text.push_str(&format!("\n{fault} on the {on}: {missing} did not come"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::times::harm::Harm;

    fn run(fenced: Option<f64>, excluded: f64) -> Outcome {
        let excluded = Some(excluded);
        Outcome { fenced, excluded, load: 0.5, network: "loopback", ..Outcome::default() }
    }

    fn row(harm: Harm, runs: Vec<Outcome>) -> Row {
        let trial = Trial { harm, on_master: false, early_exclusion: false };
        Row { trial, timeout_s: 3, hosts: 3, runs }
    }

    #[test]
    fn a_spread_has_the_middle_of_odd_and_even_counts() {
        assert_eq!(spread(vec![3.0, 1.0, 2.0]), Some([1.0, 2.0, 3.0]));
        assert_eq!(spread(vec![4.0, 1.0, 2.0, 3.0]), Some([1.0, 2.5, 4.0]));
        assert_eq!(spread(Vec::new()), None);
    }

    #[test]
    fn the_object_gives_the_worst_as_a_number_and_nothing_where_nothing_was() {
        let runs = vec![run(Some(2.5), 3.25), run(Some(2.75), 3.0), run(None, 6.5)];
        let object = row(Harm::NetCut, runs).object();
        assert_eq!(object["fault"], "net-cut");
        assert_eq!(object["fenced"], 2.75);
        assert_eq!(object["excluded"], 6.5);
        assert_eq!(object["excluded_spread"], json!([3.0, 3.25, 6.5]));
        assert_eq!((&object["late"], &object["false_fences"]), (&json!(1), &json!(0)));
        let lost = row(Harm::PowerOff, vec![run(None, 3.0)]).object();
        assert_eq!((&lost["fenced"], &lost["on"]), (&Value::Null, &json!("member")));
    }

    #[test]
    fn what_did_not_come_stands_below_the_table() {
        let mut silent = run(None, 3.0);
        silent.missing = Some("the reset");
        silent.too_early = true;
        let text = show(&[row(Harm::DiskEio, vec![silent])]);
        assert!(text.ends_with("disk-eio on the member: the reset did not come"), "{text}");
        assert!(text.contains("disk-eio on the member: known dead BEFORE its reset"), "{text}");
    }
}
