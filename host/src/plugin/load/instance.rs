//! One opened backend: rules R12 and R14.

use super::call::{Call, Operation, settle};
use super::config_text::ConfigText;
use super::gate::Gate;
use super::pool::off_the_caller;
use super::services::About;
use super::{Plugin, PluginCounters, blocking};
use holdall_plugin_api::abi::answer;
use holdall_plugin_api::abi::grow::Room;
use holdall_plugin_api::abi::request;
use holdall_plugin_api::abi::tables::{FfiError, OpenArgs, OpenOut};
use holdall_plugin_api::abi::text::breach;
use holdall_plugin_api::rules;
use holdall_plugin_api::{
    Capabilities, Capability, Error, ErrorKind, Instance as Facts, Limits, Operations, Result,
};
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// An opened backend. Its operations and bodies hold it, so it ends after the last of them.
#[derive(Debug)]
pub(crate) struct Instance {
    plugin: Arc<Plugin>,
    backend: Handle,
    facts: Facts,
    poisoned: AtomicBool,
    terms: Terms,
    /// Whether an operation may begin where its caller is: it neither runs in the pool nor is gated.
    plain: bool,
}

/// How the operations of one instance run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How long an operation waits for its turn.
    pub(super) max_wait: Duration,
    /// In the pool: the plugin blocks, or the configuration says so.
    pub(super) spawned: bool,
}

#[derive(Debug)]
struct Handle(*const c_void);

// SAFETY: a backend is used from many threads at once (it is `Send + Sync` in Rust, and C promises
// the same).
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(end) = self.plugin.checked.ops.drop
            && !self.backend.0.is_null()
        {
            let counters = self.plugin.counters();
            counters.instances.fetch_sub(1, Ordering::Relaxed);
            let backend = Handle(self.backend.0);
            let end = move || {
                let backend = backend;
                // SAFETY: R12: once; every operation and body held this instance.
                unsafe { end(backend.0) }
            };
            match (self.gate(), self.blocks()) {
                (Some(gate), blocks) => gate.end(!blocks, end),
                (None, true) => off_the_caller(end),
                (None, false) => end(),
            }
        }
    }
}

/// Opens a backend of a plugin.
pub(super) async fn open(
    plugin: Arc<Plugin>,
    name: String,
    config: String,
    terms: Terms,
) -> Result<Instance> {
    // Until `open` has answered there is no backend: the slot ignores its first argument.
    let none = Handle(std::ptr::null());
    let opening = Arc::new(Instance::new(plugin, none, Facts::new(""), terms));
    let config = ConfigText::new(config);
    let Some(start) = opening.plugin.checked.table.open else {
        return Err(breach("no function `open`"));
    };
    let (host, minor) = (
        opening.plugin.host_table(),
        opening.plugin.effective_minor(),
    );
    let read = match minor {
        0 => read_opened::<0>,
        _ => read_opened::<1>,
    };
    if opening.blocks() {
        let pass = match opening.gate() {
            Some(gate) => Some(gate.enter(terms.max_wait).await?),
            None => None,
        };
        let opened = {
            // SAFETY: the text is copied below, before it is wiped.
            let mut args = request::write_open(
                unsafe { config.text() },
                &name,
                host,
                minor,
                About::OURS.link(),
            );
            let args: *const OpenArgs = args.raw();
            let here = opening.clone();
            let finish = move |status, out: &Room<OpenOut>, err: &FfiError| {
                // SAFETY: R6: filled by the plugin, read once.
                let opened = unsafe { settle(&here, status, read, out, err) }?;
                finished(&here, opened)
            };
            // SAFETY: R5: `args` and what it points to live for the call, which copies them.
            unsafe {
                blocking::start(
                    &opening,
                    (start, "open"),
                    args,
                    Call::default(),
                    pass,
                    finish,
                )
            }
        };
        config.wipe();
        return opened.await.map(blocking::Seated::alone);
    }
    let opened = {
        // SAFETY: `config` is dropped after the operation, which reads the text in `start` only.
        let args = request::write_open(
            unsafe { config.text() },
            &name,
            host,
            minor,
            About::OURS.link(),
        );
        let mut operation = std::pin::pin!(Operation::new(
            &opening,
            start,
            read,
            args,
            Call::default(),
            "open",
        ));
        std::future::poll_fn(|cx| {
            let opened = operation.as_mut().poll(cx);
            // R5: the plugin has read it when `start` returns, so it need not be there while the
            // plugin connects.
            if operation.as_ref().has_begun() {
                config.wipe();
            }
            opened
        })
        .await
    };
    finished(&opening, opened?)
}

/// Makes an instance of what `open` answered; from here on its drop ends the backend.
fn finished(opening: &Instance, (Opened(backend), facts): OpenAnswer) -> Result<Instance> {
    let plugin = opening.plugin.clone();
    let (facts, refused) = match facts {
        Ok(facts) => (facts, None),
        Err(refused) => (Facts::new(""), Some(refused)),
    };
    let instance = Instance::new(plugin, Handle(backend), facts, opening.terms);
    if !backend.is_null() {
        PluginCounters::count(&instance.plugin.counters().instances);
    }
    if let Some(refused) = refused {
        return Err(refused);
    }
    if backend.is_null() {
        return Err(breach("`open` succeeded without a backend"));
    }
    instance.plugin.restore_signals();
    let mut lies = overclaims(
        (
            instance.plugin.checked.operations,
            instance.plugin.descriptor.capabilities,
        ),
        (instance.operations(), instance.capabilities()),
    );
    lies.extend(impossible(&instance.facts.limits).map(str::to_owned));
    if !lies.is_empty() {
        return Err(breach(lies.join("; ")));
    }
    Ok(instance)
}

/// Limits under which no operation could succeed: a caller would be blamed for each.
fn impossible(limits: &Limits) -> impl Iterator<Item = &'static str> {
    [
        (limits.max_page == 0, "the instance states `max_page` 0"),
        (
            limits.max_object_size == Some(0),
            "the instance states `max_object_size` 0",
        ),
        (
            limits.max_conditional_size == Some(0),
            "the instance states `max_conditional_size` 0",
        ),
    ]
    .into_iter()
    .filter_map(|(is, what)| is.then_some(what))
}

/// Everything that is wrong with what an instance says of itself: it serves the required operations,
/// claims at most what its plugin declares, and keeps the rules between the two.
fn overclaims(
    (declared, may): (Operations, Capabilities),
    (operations, capabilities): (Operations, Capabilities),
) -> Vec<String> {
    let sets = [
        (
            "lacks required operations",
            Operations::REQUIRED.without(operations).names(),
        ),
        (
            "serves operations that the descriptor does not declare",
            operations.without(declared).names(),
        ),
        (
            "claims capabilities that the descriptor does not declare",
            capabilities.without(may).names(),
        ),
    ];
    let sets = sets
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("the instance {what}: {}", names.join(", ")));
    let rules = rules::broken(operations, capabilities)
        .into_iter()
        .map(|rule| {
            let (id, claimed, needed) = (rule.id, rule.claimed, rule.needs.name());
            format!("the instance claims `{claimed}` without `{needed}` ({id})")
        });
    sets.chain(rules).collect()
}

struct Opened(*const c_void);
// SAFETY: as `Handle`.
unsafe impl Send for Opened {}

/// The backend ends also when its facts are refused.
type OpenAnswer = (Opened, Result<Facts>);

/// # Safety
///
/// As [`answer::read_opened`].
unsafe fn read_opened<const MINOR: u16>(out: &OpenOut) -> Result<OpenAnswer> {
    // SAFETY: by the contract.
    let facts = unsafe { answer::read_opened(out, MINOR) };
    Ok((Opened(out.backend), facts))
}

impl Instance {
    fn new(plugin: Arc<Plugin>, backend: Handle, facts: Facts, terms: Terms) -> Self {
        Self {
            plain: !terms.spawned && plugin.gate.is_none(),
            plugin,
            backend,
            facts,
            poisoned: AtomicBool::new(false),
            terms,
        }
    }

    /// What it can do.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Slots that the plugin fills and claims, and that this instance serves.
    pub(crate) fn operations(&self) -> Operations {
        self.facts.operations.unwrap_or(Operations::EMPTY)
    }

    /// What it promises about them.
    pub(crate) fn capabilities(&self) -> Capabilities {
        self.facts.capabilities.unwrap_or(Capabilities::EMPTY)
    }

    /// Whether it promises this.
    pub(super) fn claims(&self, capability: Capability) -> bool {
        self.capabilities().has(capability)
    }

    /// Its plugin.
    pub(crate) fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Whether it panicked or broke the contract: it must not be used again.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    pub(super) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// Poisons after a fault of the plugin.
    pub(super) fn note_fault(&self, error: &Error) {
        if error.kind() == ErrorKind::PluginFault {
            self.poison();
        }
    }

    /// Whether its operations run in the pool.
    pub(super) fn blocks(&self) -> bool {
        self.terms.spawned
    }

    /// Where its operations may have to wait.
    pub(super) fn gate(&self) -> Option<&Gate> {
        self.plugin.gate.as_ref()
    }

    pub(super) fn max_wait(&self) -> Duration {
        self.terms.max_wait
    }

    /// Whether an operation begins where its caller is, at once.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    pub(super) fn backend(&self) -> *const c_void {
        self.backend.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: (Operations, Capabilities) = (
        Operations::REQUIRED
            .with(Operations::head)
            .with(Operations::list),
        Capabilities::ordered_list.with(Capabilities::start_after),
    );

    #[test]
    fn an_instance_may_be_less_than_its_plugin() {
        assert!(overclaims(DECLARED, DECLARED).is_empty());
        let less = (Operations::REQUIRED, Capabilities::EMPTY);
        assert!(overclaims(DECLARED, less).is_empty());
        // Bits of a newer minor mean nothing here.
        let newer = (
            Operations::from_bits(DECLARED.0.bits() | 1 << 63),
            DECLARED.1,
        );
        assert!(overclaims(DECLARED, newer).is_empty());
    }

    #[test]
    fn everything_that_an_instance_overclaims_is_named() {
        let operations = DECLARED
            .0
            .without(Operations::delete.with(Operations::list))
            .with(Operations::copy);
        let capabilities = DECLARED.1.with(Capabilities::versions);
        assert_eq!(
            overclaims(DECLARED, (operations, capabilities)),
            [
                "the instance lacks required operations: delete",
                "the instance serves operations that the descriptor does not declare: copy",
                "the instance claims capabilities that the descriptor does not declare: versions",
                "the instance claims `ordered_list` without `list` (REQ-04)",
                "the instance claims `start_after` without `list` (REQ-05)",
            ]
        );
    }
}
