//! The progress of a task: lines for scripts that ask, a bar for people on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::printing::Console;

/// How a task's progress is shown.
pub enum Bar {
    /// Not at all.
    Silent,
    /// The peer's lines on stderr.
    Lines,
    /// A bar on the terminal.
    Drawn(ProgressBar),
}

impl Bar {
    /// Lines when `progress` was given, else a bar on a terminal, else nothing.
    pub fn new(asked: bool, terminal: bool) -> Self {
        if asked {
            return Self::Lines;
        }
        if !terminal {
            return Self::Silent;
        }
        let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_bar} {percent:>3}%") {
            bar.set_style(style);
        }
        Self::Drawn(bar)
    }

    /// Whether anybody looks.
    pub fn is_shown(&self) -> bool {
        !matches!(self, Self::Silent)
    }

    /// A new value from 0 to 1.
    pub fn update(&self, console: &mut Console<'_>, progress: f64) {
        match self {
            Self::Silent => {}
            Self::Lines => console.note(&line(progress)),
            Self::Drawn(bar) => bar.set_position((progress * 100.0) as u64),
        }
    }

    /// The end.
    pub fn finish(&self, console: &mut Console<'_>) {
        match self {
            Self::Silent => {}
            Self::Lines => console.note("\n"),
            Self::Drawn(bar) => bar.finish_and_clear(),
        }
    }
}

/// One line: carriage return, percent, a spinner and up to 70 hashes.
fn line(progress: f64) -> String {
    let percent = (progress * 100.0) as usize;
    let spinner = ['|', '/', '-', '\\'][percent % 4];
    format!("\r {percent:>3}% {spinner} {}", "#".repeat((progress * 70.0) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_at_42_percent() {
        assert_eq!(line(0.42), format!("\r  42% - {}", "#".repeat(29)));
    }
}
