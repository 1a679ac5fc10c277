//! The variables `HOLDALL_BACKEND_<NAME>_<FIELD>` and `HOLDALL_SERVER_<FIELD>` laid over the file.

use super::document::one_of;
use super::file::{CONTENT_TYPES, KEY_POLICIES, POLLINGS, read_timeout, read_wait};
use super::plugin_settings::Variable;
use super::problem::{names, nearest};
use super::{BackendConfig, Config, Location, Problem, ProblemCode, SecretText};

const PREFIX: &str = "HOLDALL_BACKEND_";

/// How the variables of a backend begin.
pub(super) fn prefix(backend: &str) -> String {
    format!("{PREFIX}{}_", upper(backend))
}

/// How the variables of a section begin.
pub(super) fn section_prefix(section: &str) -> String {
    format!("HOLDALL_{}_", upper(section))
}

/// A name as it stands in variables.
pub(super) fn upper(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

/// Gives every variable to its backend. One that fits no backend is a problem, unless the file
/// could not be read (`whole` is false) and the backends are unknown.
pub(super) fn apply(config: &mut Config, whole: bool, problems: &mut Vec<Problem>) {
    let environment = config.environment.clone();
    let prefix = section_prefix(config.server.name);
    for (name, field, text) in environment.with_prefix(&prefix) {
        config.server.settings.variables.push(Variable {
            name: name.to_owned(),
            field: field.to_owned(),
            text: SecretText::new(text),
        });
    }
    for (variable, rest, text) in environment.with_prefix(PREFIX) {
        let owner = config
            .backends
            .values_mut()
            .filter_map(|backend| {
                let field = rest
                    .strip_prefix(&upper(&backend.name))?
                    .strip_prefix('_')?;
                (!field.is_empty()).then(|| (field.to_owned(), backend))
            })
            .min_by_key(|(field, _)| field.len());
        match owner {
            Some((field, backend)) => {
                problems.extend(
                    set(backend, variable, field, text)
                        .err()
                        .map(|problem| *problem),
                );
            }
            None if whole => problems.push(unknown(config, variable, rest)),
            None => {}
        }
    }
}

fn set(
    backend: &mut BackendConfig,
    variable: &str,
    field: String,
    text: &str,
) -> Result<(), Box<Problem>> {
    let place = Location::Variable(variable.to_owned());
    let path = |key: &str| format!("backend.{}.{key}", backend.name);
    match field.as_str() {
        "PLUGIN" => backend.plugin = text.to_owned(),
        "KEY_POLICY" => {
            backend.mount.key_policy = one_of(text, KEY_POLICIES, &path("key_policy"), &place)?
        }
        "CONTENT_TYPE" => {
            backend.mount.content_type =
                one_of(text, CONTENT_TYPES, &path("content_type"), &place)?;
        }
        "TIMEOUT" => backend.mount.timeout = Some(read_timeout(text, &path("timeout"), &place)?),
        "POLLING" => backend.mount.polling = one_of(text, POLLINGS, &path("polling"), &place)?,
        "MAX_WAIT" => backend.mount.max_wait = read_wait(text, &path("max_wait"), &place)?,
        _ => backend.settings.variables.push(Variable {
            name: variable.to_owned(),
            field,
            text: SecretText::new(text),
        }),
    }
    Ok(())
}

fn unknown(config: &Config, variable: &str, rest: &str) -> Problem {
    let known: Vec<_> = config.backends.keys().map(|name| upper(name)).collect();
    let mut problem = Problem::new(
        ProblemCode::UnknownKey,
        "backend",
        Location::Variable(variable.to_owned()),
        format!(
            "HOLDALL_BACKEND_<NAME>_<FIELD> of backend {}",
            names(config.backends.keys().map(String::as_str))
        ),
        "a variable of no backend",
    )
    .fix("configure the backend in holdall.toml, or name it by HOLDALL_BACKEND");
    // The slip may be in any of the words before the field.
    problem.suggestion = rest.match_indices('_').find_map(|(end, _)| {
        let right = nearest(&rest[..end], known.iter().map(String::as_str))?;
        Some(format!("{PREFIX}{right}{}", &rest[end..]))
    });
    problem
}
