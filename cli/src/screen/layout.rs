//! The layout that all screens share: lines with a label in front, paragraphs that
//! fold under their own beginning, tables without borders.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use jiff::Timestamp;
use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

use crate::inert;

/// Columns of the label at the beginning of a line.
const LABEL: usize = 10;

/// Columns between two columns of a table.
const GAP: u16 = 2;

/// Names up to this long stay whole in a table, so that they can be copied; a longer one
/// was made to bend the screen.
const NAME: usize = 40;

/// Words of a sentence stay whole in a table up to this long.
const WORD: usize = 20;

/// A screen in the making.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    width: usize,
}

impl Page {
    pub(super) const fn new(width: usize) -> Self {
        Self { text: String::new(), width }
    }

    /// A line that begins with a label.
    pub(super) fn labelled(&mut self, label: &str, text: &str) {
        self.fold(&format!("{label:<LABEL$}"), LABEL, text);
    }

    /// A line further in, behind a smaller label of its own.
    pub(super) fn detail(&mut self, label: &str, text: &str) {
        self.fold(&format!("    {label:<6}"), LABEL, text);
    }

    /// A paragraph, its further lines indented.
    pub(super) fn fold(&mut self, first: &str, indent: usize, text: &str) {
        let rest = " ".repeat(indent);
        let options = Options::new(self.width)
            .initial_indent(first)
            .subsequent_indent(&rest)
            .word_splitter(WordSplitter::NoHyphenation);
        for line in textwrap::wrap(&inert::text(text), options) {
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
        if text.is_empty() {
            self.text.push_str(first.trim_end());
            self.text.push('\n');
        }
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A table as wide as its content, or as the page. Where the page is too narrow for
    /// the names in it, each row becomes a paragraph.
    pub(super) fn table<R: IntoIterator<Item = String>>(
        &mut self,
        header: &[&str],
        rows: impl IntoIterator<Item = R>,
    ) {
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|row| row.into_iter().map(|cell| inert::text(&cell).into_owned()).collect())
            .collect();
        let narrowest: Vec<u16> =
            header.iter().enumerate().map(|(at, name)| narrowest(name, &rows, at)).collect();
        if narrowest.iter().copied().map(usize::from).sum::<usize>() > self.width {
            for row in &rows {
                self.row_alone(header, row);
            }
            return;
        }
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(self.width).unwrap_or(u16::MAX))
            .set_header(header)
            .add_rows(rows);
        for (column, narrowest) in table.column_iter_mut().zip(narrowest) {
            column
                .set_padding((0, GAP))
                .set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(narrowest)));
        }
        for line in table.lines() {
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    /// A row of a table without the table.
    fn row_alone(&mut self, header: &[&str], row: &[String]) {
        let cells: Vec<String> = header
            .iter()
            .zip(row)
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(name, cell)| format!("{} {cell}", name.to_lowercase()))
            .collect();
        self.fold("", 4, &cells.join("; "));
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// Columns without which a table's column would break a name or a word, its gap included.
fn narrowest(name: &str, rows: &[Vec<String>], at: usize) -> u16 {
    let cells = || rows.iter().filter_map(|row| row.get(at)).map(String::as_str);
    let limit = if cells().any(|cell| cell.contains(' ')) { WORD } else { NAME };
    let longest = cells().chain([name]).flat_map(str::split_whitespace).map(display_width).max();
    u16::try_from(longest.unwrap_or_default().min(limit)).unwrap_or(u16::MAX).saturating_add(GAP)
}

/// A number and its noun.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// How long ago something was, or, where a clock was wrong, is still to come.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let age = now.duration_since(at).as_secs();
    let (number, unit) = match age.saturating_abs() {
        0 => return "just now".to_owned(),
        seconds @ ..120 => (seconds, "s"),
        seconds @ 120..7_200 => (seconds / 60, "min"),
        seconds @ 7_200..172_800 => (seconds / 3_600, "h"),
        seconds => (seconds / 86_400, "d"),
    };
    match age {
        // Clocks of two machines are never quite the same.
        -60..0 => "just now".to_owned(),
        ..-60 => format!("{number} {unit} ahead"),
        _ => format!("{number} {unit} ago"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn an_age_has_the_unit_that_reads_best() {
        let now = Timestamp::UNIX_EPOCH;
        for (seconds, shown) in [
            (-172_800, "2 d ahead"),
            (-61, "61 s ahead"),
            (-60, "just now"),
            (0, "just now"),
            (1, "1 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7_200, "2 h ago"),
            (172_800, "2 d ago"),
        ] {
            assert_eq!(ago(now - SignedDuration::from_secs(seconds), now), shown);
        }
    }

    #[test]
    fn paragraphs_fold_under_their_beginning() {
        let mut page = Page::new(24);
        page.labelled("LABEL", "one two three four");
        assert_eq!(page.into_text(), "LABEL     one two three\n          four\n");
    }

    fn table(width: usize) -> String {
        let mut page = Page::new(width);
        let row = ["aks-apps-vmss000001", "the kubelet hangs"].map(str::to_owned);
        page.table(&["NODE", "WHAT"], [row]);
        page.into_text()
    }

    #[test]
    fn a_table_folds_sentences_and_breaks_no_name() {
        assert_eq!(
            table(40),
            "NODE                 WHAT\naks-apps-vmss000001  the kubelet hangs\n"
        );
        assert_eq!(
            table(32),
            "NODE                 WHAT\naks-apps-vmss000001  the\n                     kubelet\n                     hangs\n"
        );
        assert_eq!(table(28), "node aks-apps-vmss000001;\n    what the kubelet hangs\n");
    }

    #[test]
    fn a_name_without_end_does_not_bend_the_page() {
        let mut page = Page::new(80);
        page.table(&["NODE", "WHAT"], [["x".repeat(500), "hangs".to_owned()]]);
        let text = page.into_text();
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
}
