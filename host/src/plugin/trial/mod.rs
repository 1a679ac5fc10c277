//! Trial load: a child process maps and opens a plugin before the host does.
//!
//! A plugin whose constructors crash, exit or never return would take the host with it. Bytes that a host
//! has not loaded before are therefore mapped, opened with the configuration of the backend that needs
//! them, and asked for their health in a child with limits. Its verdict is kept by digest in the state
//! directory.
//!
//! The child is this executable, or another one, with [`ARGUMENT`]. A program that embeds the host calls
//! [`run_if_asked`] first in its `main` and asks for trials by
//! [`Builder::trial`](crate::Builder::trial).

mod child;
mod parent;
mod said;
mod verdict;

pub use crate::config::TrialRules;

use crate::config::Config;
use crate::plugin::fault::{Code, Fault};
use crate::plugin::load::Image;
use crate::plugin::trust::StateDir;
use holdall_plugin_api::descriptor::Descriptor;
pub(crate) use said::Opening;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use verdict::TrialVerdict;

/// First argument of a child that tries a plugin.
pub const ARGUMENT: &str = "__holdall-trial";
/// Set in the environment of such a child. A plugin that sees it changes nothing in its store.
pub const VARIABLE: &str = "HOLDALL_TRIAL";

/// How a host starts the children that try plugins.
#[derive(Clone, Debug)]
pub struct Trial {
    executable: PathBuf,
    arguments: Vec<OsString>,
}

impl Trial {
    /// This executable, whose `main` calls [`run_if_asked`].
    pub fn this_executable() -> Self {
        Self::executable(child::this_executable())
    }

    /// Another executable that answers [`ARGUMENT`], such as the `holdall` command of the same version.
    ///
    /// A plugin with undefined behaviour can pass in one build of the host and crash in another, because the two
    /// call it with other values in registers and on the stack. [`Trial::this_executable`] leaves no such difference.
    pub fn executable(path: impl Into<PathBuf>) -> Self {
        Self {
            executable: path.into(),
            arguments: vec![ARGUMENT.into()],
        }
    }
}

/// Does the work of a child, and never returns, when this process was started as one. Does nothing
/// otherwise. Call it first in `main`.
pub fn run_if_asked() {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == ARGUMENT)
    {
        child::main();
    }
}

/// The trials of one host.
#[derive(Debug)]
pub(crate) struct Trials {
    trial: Trial,
    rules: TrialRules,
    state: Option<StateDir>,
}

impl Trials {
    /// `None` when the configuration turns trials off.
    pub(crate) fn new(trial: Trial, config: &Config) -> Option<Self> {
        config.trial.enabled.then(|| Self {
            trial,
            rules: config.trial.clone(),
            state: config.state_dir.clone().map(StateDir::new),
        })
    }

    /// The longest that a trial may take.
    pub(crate) fn longest(&self) -> Duration {
        self.rules.timeout
    }

    /// Tries these bytes, unless a verdict on them is kept. `open` answers the configuration of the
    /// backend that needs them.
    pub(crate) fn judge(
        &self,
        image: &Image,
        descriptor: &Descriptor,
        open: impl FnOnce() -> Option<Opening>,
    ) -> Result<(), Vec<Fault>> {
        let name = &descriptor.about.name;
        let kept = self
            .state
            .as_ref()
            .and_then(|state| verdict::read(state, image));
        let opening = match kept {
            Some(TrialVerdict::Refused(faults)) => return Err(faults),
            Some(TrialVerdict::Opened) => return Ok(()),
            Some(TrialVerdict::Mapped) => match open() {
                None => return Ok(()),
                opening => opening,
            },
            None => open(),
        };
        let verdict =
            parent::run(&self.trial, &self.rules, image, name, opening).map_err(|cause| {
                let fault = Fault::new(Code::TrialUnavailable)
                    .expected("a child process that tries the plugin")
                    .found(cause.to_string());
                vec![fault]
            })?;
        if let Some(state) = &self.state
            && let Err(cause) = verdict::write(state, image, name, &verdict)
        {
            state.unusable(&cause);
        }
        match verdict {
            TrialVerdict::Refused(faults) => Err(faults),
            TrialVerdict::Mapped | TrialVerdict::Opened => Ok(()),
        }
    }
}

/// Forgets the verdicts on the files of a plugin; `false` when there is none.
///
/// # Errors
///
/// What the operating system says.
pub fn release(state: &StateDir, name: &str) -> std::io::Result<bool> {
    verdict::release(state, name)
}
