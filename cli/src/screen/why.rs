//! Why a node is ill: verdict and who acts, cause, repair, what happened, who else has it, what
//! it is not.

use jiff::Timestamp;
use nodeward_domain::auto_repair::RepairState;
use nodeward_domain::cause::Cause;
use nodeward_domain::component::Component;
use nodeward_domain::why::{Condition, Siblings, WhyAnswer};

use super::layout::{Page, ago, count};
use super::{ScreenError, Style, write};
use crate::inert;

/// The answer about why a node is ill.
pub fn why(answer: &WhyAnswer, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |wide| text(answer, wide, style), |csv| records(answer, csv))
}

fn text(answer: &WhyAnswer, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    page.labelled("VERDICT", &verdict(answer));
    page.labelled(
        "NODE",
        &format!("{}: {}, cluster {}", answer.node, answer.platform.name(), answer.cluster),
    );
    let report = answer.last_report_at.map_or_else(
        || "never reported".to_owned(),
        |at| format!("last report {}", ago(at, answer.as_of)),
    );
    page.labelled(
        "AS OF",
        &format!("{:.0}, {report}, policy {}", answer.as_of, answer.policy_edition),
    );
    page.labelled("WHO", &who(answer));
    page.labelled("REPAIR", &repair(answer));
    for (place, cause) in answer.causes.iter().enumerate() {
        page.blank();
        show_cause(&mut page, cause, place, answer, wide);
    }
    if !answer.chain.is_empty() {
        page.blank();
        page.labelled("CHAIN", "as it was seen:");
        for event in &answer.chain {
            let what =
                event.component.map_or_else(String::new, |component| format!("{component}: "));
            page.fold(&format!("  {:.0}  ", event.at), 24, &format!("{what}{}", event.what));
        }
    }
    if !answer.siblings.is_empty() {
        page.blank();
        page.labelled("ALSO", "others of the pool and of the image:");
        for siblings in &answer.siblings {
            page.fold(&format!("{:10}", ""), 12, &also(siblings));
        }
    }
    if !answer.beside.is_empty() {
        page.blank();
        page.labelled("BESIDE", "found too, and breaks nothing by itself:");
        for finding in &answer.beside {
            let text = format!("{} ({}): {}", finding.reason, finding.component, finding.message);
            page.fold(&format!("{:10}", ""), 12, &text);
        }
    }
    page.blank();
    page.labelled("NOT", &not(answer));
    if !answer.incomplete.is_empty() {
        page.blank();
        page.labelled("UNKNOWN", "not in the verdict:");
        for line in &answer.incomplete {
            page.fold(&format!("{:10}", ""), 12, line);
        }
    }
    page.blank();
    page.labelled("NEXT", &next(answer, style));
    page.into_text()
}

fn verdict(answer: &WhyAnswer) -> String {
    let since =
        answer.since.map_or_else(String::new, |at| format!(" since {}", moment(at, answer.as_of)));
    let (said, means) = match answer.condition {
        Condition::Well => {
            let mut told = match answer.incomplete.len() {
                0 => "well: nothing keeps the node from its work".to_owned(),
                _ => "nothing that is known keeps the node from its work".to_owned(),
            };
            for (number, one, more) in [
                (answer.beside.len(), "finding breaks nothing", "findings break nothing"),
                (answer.incomplete.len(), "thing is unknown", "things are unknown"),
            ] {
                if number > 0 {
                    told.push_str(&format!("; {}", count(number, one, more)));
                }
            }
            return told;
        }
        Condition::Ill => ("ILL", ""),
        Condition::Silent => ("SILENT", ": how the node is nobody knows"),
        Condition::Maintenance => {
            ("MAINTENANCE", ": an upgrade goes through the node, which is no outage")
        }
    };
    let turn = match answer.responsible.as_ref().map(|who| who.word(&answer.provider)).as_deref() {
        None => String::new(),
        Some("YOU") => ", YOU act".to_owned(),
        Some("UNKNOWN") => ", whose turn is UNKNOWN".to_owned(),
        Some(who) => format!(", {who} acts"),
    };
    format!("{said}{since}{means}{turn}")
}

fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{at:.0} ({})", ago(at, now))
}

fn who(answer: &WhyAnswer) -> String {
    match (&answer.responsible, &answer.action) {
        (Some(who), Some(action)) => {
            format!("{}: {action}. Because {}", who.word(&answer.provider), answer.because)
        }
        _ => "nobody needs to act".to_owned(),
    }
}

fn repair(answer: &WhyAnswer) -> String {
    if let RepairState::Nobody { why } = &answer.repair.state {
        return format!("nobody repairs it by himself: {why}");
    }
    let by = if answer.repair.is_estimated { ", by the clock alone" } else { "" };
    format!("{}'s auto-repair {}{by}", answer.provider, answer.repair.state)
}

fn show_cause(page: &mut Page, cause: &Cause, place: usize, answer: &WhyAnswer, wide: bool) {
    let label = if place == 0 { "CAUSE" } else { "APART" };
    let explains = match cause.explains.as_slice() {
        [] => String::new(),
        explained => format!("; explains {}", names(explained)),
    };
    let since = moment(cause.since, answer.as_of);
    page.labelled(label, &format!("{} is broken since {since}{explains}", cause.component));
    if let Some(change) = &cause.change {
        let finding = &change.finding;
        let text = format!(
            "{}: {} (seen {}; confidence {})",
            finding.reason,
            finding.message,
            moment(finding.since, answer.as_of),
            change.confidence.word()
        );
        page.detail("by", &text);
    }
    for finding in &cause.findings {
        page.detail("what", &format!("{}: {}", finding.reason, finding.message));
        if !wide && place > 0 {
            continue;
        }
        for evidence in &finding.evidence {
            let expected = match evidence.expected.as_str() {
                "" => String::new(),
                expected => format!("; expected {expected}"),
            };
            let source = match evidence.source.as_str() {
                "" => String::new(),
                source => format!("{source}: "),
            };
            page.detail("seen", &format!("{source}{}{expected}", evidence.actual));
        }
    }
}

fn names(components: &[Component]) -> String {
    components.iter().map(|component| component.name()).collect::<Vec<_>>().join(", ")
}

fn also(siblings: &Siblings) -> String {
    let Siblings { reason, pool, image, examples } = siblings;
    let such =
        if examples.is_empty() { String::new() } else { format!(": {}", examples.join(", ")) };
    format!(
        "{reason}: {} of {} others of the pool, {} of {} others of the image{such}",
        pool.0, pool.1, image.0, image.1
    )
}

fn not(answer: &WhyAnswer) -> String {
    if answer.passed.is_empty() {
        return "no component could be ruled out".to_owned();
    }
    format!("the cause, as every check of it passes: {}", names(&answer.passed))
}

fn next(answer: &WhyAnswer, style: Style<'_>) -> String {
    let first = answer.causes.first();
    let finding = first.and_then(|cause| {
        cause.change.as_ref().map(|change| &change.finding).or_else(|| cause.findings.first())
    });
    match finding {
        Some(finding) => format!("nodeward checks --explain {}", inert::text(&finding.reason)),
        None => style.command(&format!(
            "nodeward node {} --cluster {}",
            inert::text(&answer.node),
            inert::text(&answer.cluster)
        )),
    }
}

/// One record for each thing that there is to say, in the order of the screen.
fn records(answer: &WhyAnswer, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "cluster",
        "node",
        "as_of",
        "kind",
        "at",
        "component",
        "reason",
        "text",
        "responsible",
        "action",
    ])?;
    let mut record = |kind: &str, at: Option<Timestamp>, rest: [String; 5]| {
        let [component, reason, text, responsible, action] = rest;
        let cells = [
            answer.cluster.clone(),
            answer.node.clone(),
            answer.as_of.to_string(),
            kind.to_owned(),
            at.map_or_else(String::new, |at| at.to_string()),
            component,
            reason,
            text,
            responsible,
            action,
        ];
        csv.write_record(cells.iter().map(|cell| inert::cell(cell).into_owned()))
    };
    let who = answer.responsible.as_ref().map(|who| who.word(&answer.provider));
    let action = answer.action.as_ref().map(ToString::to_string);
    let none = String::new;
    record(
        "verdict",
        answer.since,
        [
            none(),
            none(),
            format!("{}; {}", verdict(answer), answer.because),
            who.unwrap_or_default(),
            action.unwrap_or_default(),
        ],
    )?;
    record("repair", None, [none(), none(), repair(answer), none(), none()])?;
    for cause in &answer.causes {
        let change = cause.change.iter().map(|change| ("change", &change.finding));
        let findings = cause.findings.iter().map(|finding| ("cause", finding));
        for (kind, finding) in change.chain(findings) {
            record(kind, Some(finding.since), of_finding(finding, answer))?;
        }
    }
    for event in &answer.chain {
        let component = event.component.map(|one| one.name().to_owned()).unwrap_or_default();
        record("event", Some(event.at), [component, none(), event.what.clone(), none(), none()])?;
    }
    for siblings in &answer.siblings {
        let reason = siblings.reason.clone();
        record("siblings", None, [none(), reason, also(siblings), none(), none()])?;
    }
    for finding in &answer.beside {
        record("beside", Some(finding.since), of_finding(finding, answer))?;
    }
    for component in &answer.passed {
        let name = component.name().to_owned();
        record("not the cause", None, [name, none(), none(), none(), none()])?;
    }
    for line in &answer.incomplete {
        record("unknown", None, [none(), none(), line.clone(), none(), none()])?;
    }
    Ok(())
}

fn of_finding(finding: &nodeward_domain::answer::Finding, answer: &WhyAnswer) -> [String; 5] {
    [
        finding.component.name().to_owned(),
        finding.reason.clone(),
        finding.message.clone(),
        finding.responsible.word(&answer.provider),
        finding.action.to_string(),
    ]
}
