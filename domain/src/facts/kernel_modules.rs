//! Facts of `kernel_modules`: which modules of the kernel are loaded, and which ones the
//! host's files keep from being loaded. Sources: `/proc/modules`, modprobe.d(5).
//!
//! `module_blacklist=` and `modprobe.blacklist=` of the kernel's command line stand in the
//! facts of `kernel`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Headline;

/// Modules of the kernel. In every name `_` stands for `-`, as the kernel writes them:
/// modprobe takes both for the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KernelModules {
    /// Names of those that are loaded, each once, sorted. None of them on a kernel that
    /// was built without modules.
    pub loaded: Vec<String>,
    /// Rules that keep modules from being loaded, one per module and kind, sorted: of
    /// several the one that modprobe takes.
    pub rules: Vec<ModuleRule>,
}

/// One rule of modprobe.d(5) that keeps a module from being loaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ModuleRule {
    /// The module's name. A rule whose name is a pattern, fnmatch(3), stands here with
    /// that pattern, and once more for every loaded module that fits it.
    pub module: String,
    /// How it is kept out.
    pub kind: ModuleRuleKind,
    /// The file.
    pub path: String,
    /// The line in it, from 1.
    pub line: u32,
}

/// How a rule keeps a module from being loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModuleRuleKind {
    /// `blacklist`: hardware and protocols do not load it by its aliases. Whoever names it
    /// still can, and so does a module that needs it.
    Blacklist,
    /// `install` with a command that does nothing: modprobe does not load it at all, and
    /// neither does the kernel, which calls modprobe.
    Install,
}

impl KernelModules {
    /// The rules by which a module is not loaded at all.
    pub fn blocks(&self) -> impl Iterator<Item = &ModuleRule> {
        self.rules.iter().filter(|rule| rule.kind == ModuleRuleKind::Install)
    }

    /// Those of them whose module is loaded all the same.
    #[must_use]
    pub fn stale_blocks(&self) -> Vec<&ModuleRule> {
        let loaded: BTreeSet<&str> = self.loaded.iter().map(String::as_str).collect();
        self.blocks().filter(|rule| loaded.contains(rule.module.as_str())).collect()
    }
}

impl Headline for KernelModules {
    fn headline(&self) -> String {
        let loaded = match self.loaded.len() {
            1 => "1 module loaded".to_owned(),
            count => format!("{count} modules loaded"),
        };
        format!("{loaded}, {} kept from loading", self.blocks().count())
    }
}
