//! Whether nodes can be supported: what blocks and warns, with who acts; what is kept; what no
//! node shows, with the command or place that would tell.

use nodeward_domain::support::{Level, RuleAnswer, RuleRow, SupportAnswer};

use super::layout::{Page, ago, count};
use super::{ScreenError, Style, write};
use crate::inert;

/// Columns of a level in front of a rule.
const LEVEL: usize = 10;

/// The answer about the support of nodes.
pub fn support_check(answer: &SupportAnswer, style: Style<'_>) -> Result<String, ScreenError> {
    write(answer, style, |wide| text(answer, wide, style), |csv| records(answer, csv))
}

fn text(answer: &SupportAnswer, wide: bool, style: Style<'_>) -> String {
    let mut page = Page::new(style.width);
    page.labelled("VERDICT", &verdict(answer));
    page.labelled(
        "POLICY",
        &format!("{} (edition {})", answer.policy_title, answer.policy_edition),
    );
    page.labelled("SCOPE", &scope(answer));
    let reported = answer.oldest_report_at.map_or_else(
        || "no report in the verdict".to_owned(),
        |at| format!("oldest report {}", ago(at, answer.as_of)),
    );
    page.labelled("AS OF", &format!("{:.0}, {reported}", answer.as_of));
    if !answer.incomplete.is_empty() {
        page.blank();
        page.labelled("UNKNOWN", "beside the rules below:");
        for line in &answer.incomplete {
            page.fold(&format!("{:10}", ""), 12, line);
        }
    }
    page.blank();
    page.labelled("FIXES", &fixes(answer));
    for level in [Level::Block, Level::Warn, Level::Note] {
        for rule in answer.rules.iter().filter(|rule| rule.level == level) {
            page.blank();
            broken(&mut page, rule, answer, wide);
        }
    }
    page.blank();
    passed(&mut page, answer, wide);
    unknown(&mut page, answer, wide);
    not_applicable(&mut page, answer, wide);
    page.blank();
    page.labelled("NEXT", &next(answer, wide, style));
    page.into_text()
}

fn verdict(answer: &SupportAnswer) -> String {
    let counts = &answer.counts;
    let numbers = format!(
        "{} block, {} warn, {} note, {} pass, {} unknown",
        counts.block, counts.warn, counts.note, counts.pass, counts.unknown
    );
    let blocked: Vec<String> =
        answer.pools.iter().filter(|pool| pool.level == Level::Block).map(name_of).collect();
    let said = if answer.pools.is_empty() {
        "UNKNOWN: no node that the policy speaks of has reported lately".to_owned()
    } else if blocked.len() == answer.pools.len() {
        "NOT supportable".to_owned()
    } else if !blocked.is_empty() {
        let (pool, is) = if blocked.len() == 1 { ("pool", "is") } else { ("pools", "are") };
        format!("PARTLY: {pool} {} {is} NOT supportable", blocked.join(", "))
    } else if counts.warn > 0 {
        "supportable with warnings, as far as nodes show".to_owned()
    } else {
        "supportable, as far as nodes show".to_owned()
    };
    let turn = answer.worst().and_then(|row| row.responsible.as_ref()).map(|who| {
        match who.word(&answer.provider).as_str() {
            "YOU" => "YOU act first".to_owned(),
            "UNKNOWN" => "whose turn is UNKNOWN".to_owned(),
            first => format!("{first} acts first"),
        }
    });
    let turn = turn.map_or_else(String::new, |turn| format!(", {turn}"));
    format!("{said}{turn} ({numbers})")
}

fn scope(answer: &SupportAnswer) -> String {
    let nodes = count(answer.nodes, "node", "nodes");
    let pools = count(answer.pools.len(), "pool", "pools");
    let others = match answer.without_provider {
        0 => String::new(),
        number => {
            format!("; {} without a provider: no policy", count(number, "node", "nodes"))
        }
    };
    format!("{}: {nodes} in {pools}{others}", answer.scope)
}

fn fixes(answer: &SupportAnswer) -> String {
    let sums = &answer.fixes;
    let of = count(sums.nodes, "node", "nodes");
    let turns = format!(
        "missing on {of}, each counted once a node: YOU {}, {} {}, AUTOMATION {}, NOBODY YET {}, \
         UNKNOWN {}",
        sums.customer,
        answer.provider.to_uppercase(),
        sums.provider,
        sums.automation,
        sums.nobody_yet,
        sums.unknown
    );
    match sums.over_line {
        Some(over) => format!("{turns}; {over} over the line of age"),
        None => format!(
            "{turns}; edition {} draws no line of age: ages are shown by nodeward patch-age, and \
             none is claimed of {}",
            answer.policy_edition, answer.provider
        ),
    }
}

fn name_of(pool: &nodeward_domain::support::PoolSupport) -> String {
    place(&pool.cluster, &pool.pool)
}

fn place(cluster: &str, pool: &str) -> String {
    if pool.is_empty() { format!("{cluster} (no pool)") } else { format!("{cluster}/{pool}") }
}

/// A rule that is broken, or to be known, with what shows it.
fn broken(page: &mut Page, rule: &RuleAnswer, answer: &SupportAnswer, wide: bool) {
    let level = rule.level.word().to_uppercase();
    page.fold(&format!("{level:<LEVEL$}"), LEVEL, &format!("{}: {}", rule.rule, rule.summary));
    for row in &rule.rows {
        show_row(page, row, answer, wide);
    }
    if wide {
        for line in &rule.unseen {
            page.fold(&format!("{:8}- ", ""), LEVEL, &format!("not seen: {line}"));
        }
        page.fold(&format!("{:8}- ", ""), LEVEL, &rule.source);
    }
}

fn show_row(page: &mut Page, row: &RuleRow, answer: &SupportAnswer, wide: bool) {
    let who = row.responsible.as_ref().map(|who| who.word(&answer.provider));
    let turn = match (who, &row.action) {
        (Some(who), Some(action)) => format!(" -> {who}: {action}"),
        _ => String::new(),
    };
    let level = row.level.word();
    let reason = if row.reason.is_empty() { String::new() } else { format!("{}, ", row.reason) };
    let nodes = format!("{} of {} nodes, such as {}", row.nodes, row.of, row.example);
    let text = format!(
        "{level}, {}: {reason}{}{turn} ({nodes})",
        place(&row.cluster, &row.pool),
        row.message
    );
    page.fold(&format!("{:8}- ", ""), LEVEL, &text);
    if wide {
        for evidence in &row.evidence {
            let expected = match evidence.expected.as_str() {
                "" => String::new(),
                expected => format!("; expected {expected}"),
            };
            let seen = format!("{}: {}{expected}", evidence.source, evidence.actual);
            page.fold(&format!("{:12}", ""), 14, &seen);
        }
    }
}

fn passed(page: &mut Page, answer: &SupportAnswer, wide: bool) {
    let passed: Vec<&RuleAnswer> =
        answer.rules.iter().filter(|rule| rule.level == Level::Pass).collect();
    if passed.is_empty() {
        return;
    }
    if !wide {
        let names: Vec<String> = passed
            .iter()
            .map(|rule| {
                let part = if rule.unseen.is_empty() { "" } else { " (in part)" };
                format!("{}{part}", rule.rule)
            })
            .collect();
        page.labelled("PASS", &names.join(" · "));
        return;
    }
    for rule in passed {
        page.fold(
            &format!("{:<LEVEL$}", "PASS"),
            LEVEL,
            &format!("{}: {}", rule.rule, rule.summary),
        );
        for line in rule.unseen.iter().chain(Some(&rule.why).filter(|why| !why.is_empty())) {
            page.fold(&format!("{:8}- ", ""), LEVEL, line);
        }
    }
}

/// What cannot be said: first what nodes should show and do not, then what no node shows.
fn unknown(page: &mut Page, answer: &SupportAnswer, wide: bool) {
    let (seen, unseen): (Vec<&RuleAnswer>, Vec<&RuleAnswer>) = answer
        .rules
        .iter()
        .filter(|rule| rule.level == Level::Unknown)
        .partition(|rule| !rule.rows.is_empty());
    for rule in seen {
        page.blank();
        broken(page, rule, answer, wide);
    }
    if unseen.is_empty() {
        return;
    }
    page.blank();
    if wide {
        for rule in unseen {
            broken(page, rule, answer, wide);
            page.fold(&format!("{:8}- ", ""), LEVEL, &rule.why);
            if !rule.told_by.is_empty() {
                page.fold(&format!("{:8}- ", ""), LEVEL, &format!("told by: {}", rule.told_by));
            }
        }
        return;
    }
    page.table(
        &["UNKNOWN", "WHY", "TOLD BY"],
        unseen.into_iter().map(|rule| {
            let told_by = match (rule.told_by.as_str(), rule.unseen.first()) {
                ("", Some(why)) => why.clone(),
                (told_by, _) => told_by.to_owned(),
            };
            [rule.rule.clone(), rule.why.clone(), told_by]
        }),
    );
    page.blank();
}

fn not_applicable(page: &mut Page, answer: &SupportAnswer, wide: bool) {
    let rules: Vec<&RuleAnswer> =
        answer.rules.iter().filter(|rule| rule.level == Level::NotApplicable).collect();
    if wide {
        for rule in rules {
            let told_by = match rule.told_by.as_str() {
                "" => String::new(),
                told_by => format!("; told by: {told_by}"),
            };
            page.fold(
                &format!("{:<LEVEL$}", "N/A"),
                LEVEL,
                &format!("{}: {}{told_by}", rule.rule, rule.why),
            );
        }
        return;
    }
    let lacking = rules.iter().filter(|rule| rule.summary.is_empty()).count();
    let idle = rules.len() - lacking;
    let text = format!(
        "{} that ask nothing of these nodes, {} that the edition lacks: -o wide names them, and the \
         first edition with each",
        count(idle, "rule", "rules"),
        count(lacking, "rule", "rules")
    );
    page.labelled("N/A", &text);
}

fn next(answer: &SupportAnswer, wide: bool, style: Style<'_>) -> String {
    let Some(row) = answer.worst() else {
        return match wide {
            true => style.command("nodeward support export --out DIR"),
            false => "the same with -o wide, to see every rule".to_owned(),
        };
    };
    if row.reason.is_empty() {
        return style.command(match row.level {
            Level::Note => "nodeward support export --out DIR",
            _ => "nodeward patch-age --by pool",
        });
    }
    style.command(&format!(
        "nodeward node {} --cluster {}",
        inert::text(&row.example),
        inert::text(&row.cluster)
    ))
}

/// One record for each row of a rule; one for a rule without rows.
fn records(answer: &SupportAnswer, csv: &mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error> {
    csv.write_record([
        "policy",
        "as_of",
        "rule",
        "level",
        "cluster",
        "pool",
        "nodes",
        "of",
        "example",
        "reason",
        "message",
        "responsible",
        "action",
        "told_by",
        "source",
    ])?;
    for rule in &answer.rules {
        let mut write = |level: Level, middle: [String; 9]| {
            let [cluster, pool, nodes, of, example, reason, message, responsible, action] = middle;
            let record = [
                answer.policy_edition.clone(),
                answer.as_of.to_string(),
                rule.rule.clone(),
                level.word().to_owned(),
                cluster,
                pool,
                nodes,
                of,
                example,
                reason,
                message,
                responsible,
                action,
                rule.told_by.clone(),
                rule.source.clone(),
            ];
            csv.write_record(record.iter().map(|cell| inert::cell(cell).into_owned()))
        };
        if rule.rows.is_empty() {
            let mut middle: [String; 9] = std::array::from_fn(|_| String::new());
            middle[6] = rule.why.clone();
            write(rule.level, middle)?;
        }
        for row in &rule.rows {
            let who = row.responsible.as_ref().map(|who| who.word(&answer.provider));
            let action = row.action.as_ref().map(ToString::to_string);
            let middle = [
                row.cluster.clone(),
                row.pool.clone(),
                row.nodes.to_string(),
                row.of.to_string(),
                row.example.clone(),
                row.reason.clone(),
                row.message.clone(),
                who.unwrap_or_default(),
                action.unwrap_or_default(),
            ];
            write(row.level, middle)?;
        }
    }
    Ok(())
}
