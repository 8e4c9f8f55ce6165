//! `kernel_modules` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, text, texts};
use crate::v1;
use crate::v1::kernel_modules::{Kind, Rule};

/// Limits of the lists: what an agent reads at the most.
const LOADED: usize = 4096;
const RULES: usize = 8192;

impl From<&domain::KernelModules> for v1::KernelModules {
    fn from(modules: &domain::KernelModules) -> Self {
        let rule = |rule: &domain::ModuleRule| Rule {
            module: rule.module.clone(),
            kind: match rule.kind {
                domain::ModuleRuleKind::Blacklist => Kind::Blacklist,
                domain::ModuleRuleKind::Install => Kind::Install,
            }
            .into(),
            path: rule.path.clone(),
            line: rule.line,
        };
        Self { loaded: modules.loaded.clone(), rules: modules.rules.iter().map(rule).collect() }
    }
}

impl TryFrom<v1::KernelModules> for domain::KernelModules {
    type Error = Invalid;

    fn try_from(modules: v1::KernelModules) -> Result<Self, Invalid> {
        Ok(Self {
            loaded: texts("loaded", modules.loaded, LOADED)?,
            rules: list("rules", modules.rules, RULES, |rule| {
                Ok(domain::ModuleRule {
                    module: name("module", rule.module)?,
                    kind: kind_in(rule.kind)?,
                    path: text(rule.path),
                    line: rule.line,
                })
            })?,
        })
    }
}

fn kind_in(kind: i32) -> Result<domain::ModuleRuleKind, Invalid> {
    match Kind::try_from(kind) {
        Ok(Kind::Blacklist) => Ok(domain::ModuleRuleKind::Blacklist),
        Ok(Kind::Install) => Ok(domain::ModuleRuleKind::Install),
        Ok(Kind::Unspecified) | Err(_) => {
            Err(Invalid::new("kind", format!("{kind} is not a kind of rule known here")))
        }
    }
}
