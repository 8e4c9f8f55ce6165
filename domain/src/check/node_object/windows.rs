//! What can be said of a Windows node, on which no agent runs: how old its image is by the name
//! that its label gives, `…-20348.5499.260812` (build, revision, day), and what is announced of
//! its Windows. The label is a claim of the node's own kubelet; `nodeInfo` names build and
//! revision a second time.

use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::ready::{customer, known};
use crate::check::{Evidence, Scope, Verdict, midnight, of_a_provider, verdict_or};
use crate::facts::{NODE_OBJECT, NodeObject};
use crate::image::{ImageLabel, NODE_IMAGE_LABEL};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::Action;

/// Images with a monthly release are dated a day after it and reach regions within about two
/// weeks: before that nobody is behind. Our own line.
const GRACE_DAYS: i32 = 14;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Builds of Windows Server, and what it is sold as.
const BUILDS: [(&str, &str); 4] =
    [("17763", "2019"), ("20348", "2022"), ("25398", "23H2"), ("26100", "2025")];

/// So long before the end a pool should begin to move.
const NOTICE_DAYS: i64 = 180;

/// What a Windows node's image is.
struct Image<'a> {
    object: &'a NodeObject,
    since: Timestamp,
    /// As the label names it: `20348.5499.260812`.
    version: String,
    built: Date,
}

impl Image<'_> {
    fn evidence(&self, expected: impl Into<String>) -> Vec<Evidence> {
        vec![
            Evidence::new(
                NODE_IMAGE_LABEL,
                format!("{}, built {}", self.version, self.built),
                expected,
            ),
            Evidence::new(
                NODE_OBJECT,
                format!("{}, {}", self.object.system.os_image, self.object.system.kernel_version),
                "",
            ),
        ]
    }
}

fn windows(history: &NodeHistory) -> Result<(&NodeObject, Timestamp), Verdict> {
    let (object, since) = known(history)?;
    match object.is_windows() {
        true => Ok((object, since)),
        false => Err(Verdict::not_applicable("the node does not run Windows")),
    }
}

/// The day of `260812`.
fn day(text: &str) -> Option<Date> {
    if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i8>().ok();
    let year = i16::from(number(0..2)?) + 2000;
    Date::new(year, number(2..4)?, number(4..6)?).ok()
}

fn image(history: &NodeHistory) -> Result<Image<'_>, Verdict> {
    let (object, since) = windows(history)?;
    let Some(label) = object.label(NODE_IMAGE_LABEL) else {
        return Err(Verdict::unknown(format!("no label {NODE_IMAGE_LABEL}"), Vec::new()));
    };
    let evidence = || vec![Evidence::new(NODE_IMAGE_LABEL, label, "…-BUILD.REVISION.YYMMDD")];
    let parsed = ImageLabel::parse(label)
        .map_err(|_| Verdict::unknown("the label names no image", evidence()))?;
    let mut parts = parsed.version.split('.');
    let (build, revision, built) = (parts.next(), parts.next(), parts.next().and_then(day));
    let Some(built) = built else {
        return Err(Verdict::unknown("the image's version names no day", evidence()));
    };
    // The same is told twice: a label that says something else is not to be believed.
    let told = format!("10.0.{}.{}", build.unwrap_or_default(), revision.unwrap_or_default());
    let kernel = &object.system.kernel_version;
    if !kernel.is_empty() && *kernel != told {
        let mut evidence = evidence();
        evidence.push(Evidence::new(NODE_OBJECT, kernel, &told));
        let why = "label and kernel name two revisions: which image it is cannot be said";
        return Err(Verdict::unknown(why, evidence));
    }
    Ok(Image { object, since, version: parsed.version, built })
}

/// The second Tuesday of a month, on which monthly releases come.
fn patch_tuesday(of: Date) -> Option<Date> {
    date(of.year(), of.month(), 1).nth_weekday_of_month(2, Weekday::Tuesday).ok()
}

/// The last monthly release that has been out for the days of grace.
fn due_release(now: Timestamp) -> Option<Date> {
    let today = TimeZone::UTC.to_datetime(now).date();
    let latest = today.checked_sub(GRACE_DAYS.days()).ok()?;
    let this = patch_tuesday(latest)?;
    if this <= latest {
        return Some(this);
    }
    patch_tuesday(latest.checked_sub(1.month()).ok()?)
}

pub(super) fn behind(history: &NodeHistory, scope: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    verdict_or!(windows(history));
    verdict_or!(of_a_provider(scope, "releases its image"));
    let image = verdict_or!(image(history));
    let Some(due) = due_release(now) else {
        return Verdict::unknown("the day of the monthly release is out of range", Vec::new());
    };
    let today = TimeZone::UTC.to_datetime(now).date();
    if image.built > today.checked_add(1.day()).unwrap_or(Date::MAX) {
        return Verdict::unknown("the image's day is still to come", image.evidence(""));
    }
    let evidence = image.evidence(format!("built after the release of {due}"));
    if image.built > due {
        // The next release is due a grace after the next second Tuesday.
        let next = due
            .checked_add(1.month())
            .ok()
            .and_then(patch_tuesday)
            .and_then(|next| next.checked_add((GRACE_DAYS).days()).ok())
            .and_then(midnight);
        return Verdict { valid_until: next, ..Verdict::pass(evidence) };
    }
    let since =
        midnight(due).and_then(|due| due.checked_add(DAY * GRACE_DAYS).ok()).unwrap_or(image.since);
    let message = format!(
        "the image is of {}: the monthly release of {due} is missing, and with it its security \
         updates",
        image.built
    );
    let turn = customer(Action::UpgradeImage { to: None });
    Verdict::fail(message, since, turn, evidence)
}

pub(super) fn unsupported(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    verdict_or!(windows(history));
    verdict_or!(of_a_provider(scope, "limits the age of its image"));
    let image = verdict_or!(image(history));
    let Some(limits) = &policy.node_image_age else {
        return Verdict::not_applicable(format!("edition {} sets no limit", policy.edition));
    };
    let days = i32::try_from(limits.unsupported_after_days).unwrap_or(i32::MAX);
    let Some(limit) = midnight(image.built).and_then(|built| built.checked_add(DAY * days).ok())
    else {
        return Verdict::unknown("the image's day is out of range", image.evidence(""));
    };
    let evidence = image.evidence(format!("at most {days} days old"));
    if now <= limit {
        let valid_until = limit.checked_add(SignedDuration::from_millis(1)).ok();
        return Verdict { valid_until, ..Verdict::pass(evidence) };
    }
    let message = format!("the image is of {}: unsupported since {limit:.0}", image.built);
    Verdict::fail(message, limit, customer(Action::UpgradeImage { to: None }), evidence)
}

pub(super) fn retired(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let (object, since) = verdict_or!(windows(history));
    verdict_or!(of_a_provider(scope, "retires its Windows"));
    let kernel = &object.system.kernel_version;
    let build = kernel.strip_prefix("10.0.").and_then(|rest| rest.split('.').next());
    let release = build.and_then(|build| BUILDS.iter().find(|(known, _)| *known == build));
    let Some((_, release)) = release else {
        let evidence = vec![Evidence::new(NODE_OBJECT, kernel, "10.0.BUILD.REVISION")];
        return Verdict::unknown("which Windows Server that build is is not known", evidence);
    };
    let actual = format!("Windows Server {release} ({kernel})");
    let retirement = policy.os_retirements.iter().find(|one| one.is_about("windows", release));
    let Some(retirement) = retirement else {
        let expected = format!("no announced end in edition {}", policy.edition);
        return Verdict::pass(vec![Evidence::new(NODE_OBJECT, actual, expected)]);
    };
    let (Some(end), Some(removed)) =
        (midnight(retirement.unsupported_on), midnight(retirement.images_removed_on))
    else {
        return Verdict::unknown("the date of the end is out of range", Vec::new());
    };
    let expected = format!(
        "support ends {}, images removed {} ({})",
        retirement.unsupported_on, retirement.images_removed_on, retirement.source
    );
    let evidence = vec![Evidence::new(NODE_OBJECT, actual, expected)];
    let notice =
        end.checked_sub(SignedDuration::from_hours(24 * NOTICE_DAYS)).unwrap_or(Timestamp::MIN);
    if now < notice {
        return Verdict { valid_until: Some(notice), ..Verdict::pass(evidence) };
    }
    let (message, valid_until) = if now < end {
        (
            format!("support of Windows Server {release} ends {}", retirement.unsupported_on),
            Some(end),
        )
    } else if now < removed {
        let on = retirement.unsupported_on;
        (format!("support of Windows Server {release} ended {on}"), Some(removed))
    } else {
        let on = retirement.images_removed_on;
        let what = format!("images of Windows Server {release} were removed {on}");
        (format!("{what}: the pool neither scales nor heals"), None)
    };
    let mut turn = customer(Action::MigrateOsSku);
    turn.valid_until = valid_until;
    Verdict::fail(message, since.max(notice), turn, evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_due_two_weeks_after_the_second_tuesday() {
        for (now, due) in [
            ("2026-08-12T00:00:00Z", date(2026, 7, 14)),
            ("2026-08-24T23:59:59Z", date(2026, 7, 14)),
            ("2026-08-25T00:00:00Z", date(2026, 8, 11)),
            ("2026-09-08T00:00:00Z", date(2026, 8, 11)),
            ("2027-01-20T00:00:00Z", date(2026, 12, 8)),
        ] {
            let now: Timestamp = now.parse().expect("a time");
            assert_eq!(due_release(now), Some(due), "{now}");
        }
    }

    #[test]
    fn a_day_has_six_digits() {
        assert_eq!(day("260812"), Some(date(2026, 8, 12)));
        for none in ["", "26081", "2608120", "261312", "260832", "26+812"] {
            assert_eq!(day(none), None, "{none}");
        }
    }
}
