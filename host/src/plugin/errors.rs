//! Errors of the host itself: what was asked for, what there is, where it was searched, what is near.

use super::fault::Fault;
use super::inspect::{Inspection, Verdict};
use super::scan::ScanReport;
use crate::config;
use holdall_plugin_api::{Cause, Error, ErrorKind};
use std::path::{Path, PathBuf};

/// How a plugin that is linked in is called where a file's path would stand.
pub(crate) const BUILT_IN: &str = "built in";

/// `PluginLoad`: the file was refused, or did not pass the checks after mapping.
pub(crate) fn plugin_load(path: &Path, faults: &[Fault]) -> Error {
    let what = match faults {
        [] => String::new(),
        [one] => format!(": {one}"),
        [first, more @ ..] => format!(": {first}; also {}", Fault::codes(more)),
    };
    // The message has the whole of one fault only.
    let causes = faults.iter().map(|it| (it.code.name(), it.without_code()));
    let causes = config::chain(causes.collect::<Vec<_>>());
    let error = Error::new(ErrorKind::PluginLoad)
        .with_message(format!("the plugin cannot be loaded{what}"))
        .with_fact("file", path.display())
        .with_cause(causes.filter(|_| faults.len() > 1));
    faults.iter().fold(error, |error, fault| {
        error.with_fact(fault.code.name(), fault.without_code())
    })
}

/// `BackendNotRegistered`, with all that helps to find the slip.
pub(crate) fn not_registered(
    requested: &str,
    available: &[String],
    dirs: &[PathBuf],
    report: &ScanReport,
) -> Error {
    let message = if available.is_empty() {
        format!("backend {requested:?} is not registered, and no other is")
    } else {
        format!("backend {requested:?} is not registered")
    };
    let mut error = Error::new(ErrorKind::BackendNotRegistered).with_message(message);
    let plugin = report
        .files
        .iter()
        .filter(|file| file.verdict() == Verdict::Accepted)
        .find(|file| provides(file).any(|name| name == requested));
    if let Some(file) = plugin {
        let text = format!(
            "plugin {requested:?} is present in {}: add [backend.{requested}] to the configuration",
            file.path.display()
        );
        let cause = Cause::new("plugin_present", text.as_str());
        error = error
            .with_fact("plugin_present", text)
            .with_cause(Some(cause));
    }
    complete(error, requested, available, dirs, report)
}

/// `BackendNotRegistered` for a handle whose backend was removed.
pub(crate) fn removed(name: &str) -> Error {
    Error::new(ErrorKind::BackendNotRegistered)
        .with_message(format!("backend {name:?} was removed"))
        .with_fact("requested", name)
}

/// `PluginLoad`: no plugin has this name or scheme.
pub(crate) fn no_such_plugin(
    requested: &str,
    disabled: bool,
    available: &[String],
    dirs: &[PathBuf],
    report: &ScanReport,
) -> Error {
    let message = if disabled {
        format!("the plugin {requested:?} is disabled by the configuration")
    } else {
        format!("no plugin has the name or scheme {requested:?}")
    };
    let error = Error::new(ErrorKind::PluginLoad).with_message(message);
    complete(error, requested, available, dirs, report)
}

fn complete(
    error: Error,
    requested: &str,
    available: &[String],
    dirs: &[PathBuf],
    report: &ScanReport,
) -> Error {
    // A plugin's name is often its scheme too.
    let mut names: Vec<&str> = Vec::new();
    for name in available {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    // What a refused file would provide is near too: it is what was meant, and does not load.
    let refused: Vec<&Inspection> = report
        .files
        .iter()
        .filter(|file| file.verdict() == Verdict::Refused)
        .collect();
    let provided = refused.iter().flat_map(|file| provides(file));
    let nearest = config::nearest(requested, names.iter().copied().chain(provided));
    let mut error = error
        .with_fact("requested", requested)
        .with_fact("available", config::names(names));
    if let Some(nearest) = nearest {
        error = error.with_fact("nearest", nearest);
    }
    if dirs.is_empty() {
        return error.with_fact("searched", "no plugin directory is configured");
    }
    for folder in &report.folders {
        let why = folder.error.as_ref().map(|why| format!(": {why}"));
        let place = format!("{}{}", folder.path.display(), why.unwrap_or_default());
        error = error.with_fact("searched", place);
    }
    let mut causes = Vec::new();
    for file in refused {
        let (path, codes) = (file.path.display(), Fault::codes(&file.faults));
        let meant = [Some(requested), nearest];
        let meant = meant
            .into_iter()
            .flatten()
            .find(|meant| provides(file).any(|name| name == *meant));
        error = match meant {
            Some(meant) => {
                let text = format!("{meant:?} is provided by {path}, refused: {codes}");
                causes.push(("refused", text.clone()));
                error.with_fact("refused", text)
            }
            None => error.with_fact("refused", format!("{path}: {codes}")),
        };
    }
    match config::chain(causes) {
        None => error,
        causes => error.with_cause(causes),
    }
}

/// The names that a backend could call the plugin of this file by.
fn provides(file: &Inspection) -> impl Iterator<Item = &str> {
    let about = file.descriptor.as_ref().map(|descriptor| &descriptor.about);
    about.into_iter().flat_map(|about| {
        let schemes = about.schemes.iter().map(String::as_str);
        schemes.chain([about.name.as_str()])
    })
}

/// All required plugins that did not load, in one error.
pub(crate) fn required(failed: Vec<(String, Error)>) -> holdall_plugin_api::Result<()> {
    let names: Vec<_> = failed.iter().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let message = format!("required plugins do not load: {}", config::names(names));
    let reason = |(name, error): &(String, Error)| format!("{name}: {}", error.message());
    let causes = failed.iter().flat_map(|one| {
        let own = one.1.cause().into_iter().flat_map(Cause::chain);
        let own = own.map(|cause| (cause.code.as_str(), cause.text.clone()));
        std::iter::once((one.1.code(), reason(one))).chain(own)
    });
    let causes = config::chain(causes.collect::<Vec<_>>());
    let mut all = Error::new(ErrorKind::PluginLoad)
        .with_message(message)
        .with_cause(causes);
    for one in &failed {
        all = all
            .with_fact("plugin", &one.0)
            .with_fact("reason", reason(one));
        for (fact, value) in one.1.facts() {
            all = all.with_fact(fact.to_owned(), value);
        }
    }
    Err(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::fault::Code;

    #[test]
    fn a_reporter_shows_every_fault_of_a_file_and_every_required_plugin() {
        let fault = |code, found: &str| Fault::new(code).expected("a plugin").found(found);
        let faults = [
            fault(Code::ArchMismatch, "riscv"),
            fault(Code::PluginChanged, "another"),
        ];
        let refused = || plugin_load(Path::new("/p/lib.so"), &faults);
        let none = no_such_plugin("s4", false, &[], &[], &ScanReport::default());
        let all = required(vec![("a".into(), refused()), ("s4".into(), none)]).unwrap_err();
        for (error, expected) in [
            (refused(), &["found riscv", "found another"][..]),
            (
                all,
                &["found riscv", "found another", "s4: no plugin has the name"],
            ),
        ] {
            let error = anyhow::Error::new(error);
            for shown in [format!("{error:#}"), format!("{error:?}")] {
                for text in expected {
                    assert!(shown.contains(text), "{text}: {shown}");
                }
            }
        }
    }
}
