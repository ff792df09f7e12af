//! Tables in Markdown.

use std::fmt::Write;

/// A table with a head; a missing cell is empty.
pub(super) fn table<S: AsRef<str>>(head: &[S], rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> = cells.map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |", cells.join(" | "))
    };
    let _ = writeln!(text, "{}", line(&mut head.iter().map(AsRef::as_ref)));
    let _ = write!(text, "|{}", "---|".repeat(head.len()));
    for row in rows {
        let _ = write!(text, "\n{}", line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// A number with its thousands apart: 1,234,567.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How long something took: 45 s, 12 min, 3.2 h.
pub(super) fn lasted(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        _ => format!("{}.{} h", seconds / 3_600, seconds % 3_600 / 360),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_written_for_people() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(100), "100");
        assert_eq!(lasted(119), "119 s");
        assert_eq!(lasted(7_199), "119 min");
        assert_eq!(lasted(3 * 3_600 + 1_800), "3.5 h");
    }

    #[test]
    fn a_bar_in_a_cell_does_not_end_it() {
        let made = table(&["a", "b"], &[vec!["x|y".to_owned(), "z".to_owned()]]);
        assert_eq!(made, "| a | b |\n|---|---|\n| x\\|y | z |");
    }
}
