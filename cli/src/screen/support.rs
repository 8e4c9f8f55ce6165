//! What was exported for the provider, in short.

use super::layout::{Page, count};
use super::{ScreenError, Style, write};
use crate::support::Exported;

/// The answer about an export.
pub fn exported(answer: &Exported, style: Style<'_>) -> Result<String, ScreenError> {
    write(
        answer,
        style,
        |_| text(answer, style),
        |csv| {
            csv.write_record(["folder", "filtered", "excluded", "complete"])?;
            csv.write_record([
                answer.folder.to_string_lossy().into_owned(),
                answer.filtered.to_string(),
                answer.excluded.values().sum::<usize>().to_string(),
                answer.complete.to_string(),
            ])
        },
    )
}

fn text(answer: &Exported, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    let rows = count(answer.filtered, "vulnerability", "vulnerabilities");
    let partial =
        if answer.complete { "" } else { "; INCOMPLETE, summary.md says what is missing" };
    let verdict = match answer.filtered {
        0 => format!("nothing to hand in with {}{partial}", answer.provider),
        _ => format!("{rows} to hand in with {}{partial}", answer.provider),
    };
    page.labelled("VERDICT", &verdict);
    page.labelled("AS OF", &format!("{:.0}", answer.as_of));
    page.labelled("WRITTEN", &answer.folder.to_string_lossy());
    if !answer.excluded.is_empty() {
        page.blank();
        page.labelled("LEFT OUT", "with the reason, row by row in excluded.csv:");
        for (reason, number) in &answer.excluded {
            page.fold(&format!("{number:>9} "), 12, reason);
        }
    }
    page.blank();
    page.labelled(
        "NEXT",
        &match answer.filtered {
            0 => style.command("nodeward patch-age"),
            _ => format!("paste {} into the request", answer.folder.join("summary.md").display()),
        },
    );
    page.into_text()
}
