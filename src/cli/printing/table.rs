//! Record tables: labels padded to one width, two empty lines after every record.

/// Labels and values of one object, in record order.
pub type Record = Vec<(String, String)>;

/// One record: the first label padded on the right, the others on the left, to the width of
/// the longest label of this record plus four.
pub fn layout(record: &Record) -> String {
    let width = 4 + record.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = record
        .iter()
        .enumerate()
        .map(|(at, (label, value))| {
            if at == 0 {
                format!("{label:<width$}: {value}")
            } else {
                format!("{label:>width$}: {value}")
            }
        })
        .collect();
    lines.join("\n") + "\n\n\n"
}

/// The first value of every record; nothing when a record is empty.
pub fn first_values(records: &[Record]) -> Option<Vec<String>> {
    records.iter().map(|record| record.first().map(|(_, value)| value.clone())).collect()
}

/// A value of the one line of `--minimal`.
pub fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(pairs: &[(&str, &str)]) -> Record {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_first_label_pads_right_and_the_others_left() {
        let text = layout(&record(&[
            ("uuid ( RO)", "4a1cb250-342c-4b35-8bd9-efc78ca2c261"),
            ("name-label ( RW)", "test"),
            ("power-state ( RO)", "halted"),
        ]));
        assert_eq!(
            text,
            "uuid ( RO)           : 4a1cb250-342c-4b35-8bd9-efc78ca2c261\n     \
             name-label ( RW): test\n    power-state ( RO): halted\n\n\n"
        );
    }

    #[test]
    fn one_field_no_field_and_raw_newlines() {
        assert_eq!(layout(&record(&[("IP ( RO)", "10.0.0.1")])), "IP ( RO)    : 10.0.0.1\n\n\n");
        assert_eq!(layout(&Vec::new()), "\n\n\n");
        assert_eq!(layout(&record(&[("a", "x\ny")])), "a    : x\ny\n\n\n");
    }
}
