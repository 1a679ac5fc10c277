//! References to secrets.
//!
//! A field that a plugin's schema marks `"x-secret": true` (or `"writeOnly": true`), and the
//! secret of a gateway key, may hold the secret itself or a reference to it:
//!
//! - `env:NAME`: the value of a variable;
//! - `file:PATH`: the content of a file, at most 64 KiB of UTF-8, without one line end at its end;
//!   a relative path starts at the folder of the configuration file that names it.
//!
//! References are followed just before a backend opens, so that a rotated secret is read anew.

use std::path::Path;

use zeroize::Zeroizing;

use crate::platform::files::MEND_RIGHTS;

use super::owner::FileRules;
use super::{Environment, Location, Problem, ProblemCode, SecretText, Secrets, read};

const MAX_SECRET_FILE: u64 = 64 * 1024;

/// Follows `env:` and `file:`; any other text is the secret itself. Remembers what it finds.
///
/// `path` and `place` are those of the field, for the problem. The problem names the reference
/// and never what it led to.
pub(crate) fn resolve(
    text: &str,
    path: &str,
    place: &Location,
    environment: &Environment,
    secrets: &Secrets,
) -> Result<SecretText, Box<Problem>> {
    let problem = |expected: &str, found: String| {
        Problem::new(
            ProblemCode::SecretUnresolved,
            path,
            place.clone(),
            expected,
            found,
        )
    };
    if is_nearly_reference(text) {
        let found = "a reference in another spelling".to_owned();
        return Err(problem("env:NAME or file:PATH, in lower case", found).into());
    }
    let secret = if let Some(name) = text.strip_prefix("env:") {
        let Some(value) = environment.get(name) else {
            let problem = problem(
                "env:NAME of a variable that is set",
                format!("env:{name}, not set"),
            );
            let problem = if environment.is_given() {
                problem
                    .suggest(name, environment.names())
                    .fix(format!("set {name}"))
            } else {
                problem.fix("hand the environment to the host: `Builder::env()`")
            };
            return Err(problem.into());
        };
        SecretText::new(value)
    } else if let Some(name) = text.strip_prefix("file:") {
        let folder = match place {
            Location::File { file, .. } => file.parent().unwrap_or(Path::new("")),
            _ => Path::new(""),
        };
        let file = folder.join(name);
        read_file(&file, secrets.rules()).map_err(|why| match why {
            read::Refused::Rule(code, found) => Problem::new(
                ProblemCode::of_rule(code),
                path,
                place.clone(),
                "a file of root or of this user, which no one else can change",
                format!("file:{name}, {found}"),
            )
            .fix(format!(
                "{MEND_RIGHTS}, or set trust.secret_files = \"allow\""
            )),
            read::Refused::Unreadable(why) => problem(
                "file:PATH of a readable text file of at most 64 KiB",
                format!("file:{name}, {why}"),
            )
            .fix(format!("put the secret into {}", file.display())),
        })?
    } else {
        SecretText::new(text)
    };
    if secret.expose().is_empty() && text != secret.expose() {
        return Err(problem("a reference to a secret", format!("{text}, which is empty")).into());
    }
    secrets.remember(secret.expose());
    Ok(secret)
}

/// Whether a text would be a reference in lower case and without white space around its parts. Taken
/// as the secret itself, it would show up as a refused login.
fn is_nearly_reference(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    let known = ["env", "file"];
    !known.contains(&scheme) && known.contains(&scheme.trim().to_ascii_lowercase().as_str())
}

fn read_file(file: &Path, rules: FileRules) -> Result<SecretText, read::Refused> {
    let unfit = |why: &str| read::Refused::Unreadable(why.to_owned());
    let bytes = read::regular_file(file, MAX_SECRET_FILE + 1, Some(rules))?;
    let bytes = Zeroizing::new(bytes);
    if bytes.len() as u64 > MAX_SECRET_FILE {
        return Err(unfit("larger than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| unfit("not UTF-8"))?;
    // Editors and `echo` end a file with a line end that is not part of the secret.
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(SecretText::new(text.strip_suffix('\r').unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_in_another_spelling_is_no_secret() {
        let secrets = Secrets::new();
        let environment = Environment::from_iter([("TOKEN", "x")]);
        for text in [
            "FILE:/path",
            "File:path",
            "ENV:TOKEN",
            " env:TOKEN",
            "file :path",
        ] {
            let resolved = resolve(text, "p", &Location::Default, &environment, &secrets);
            let problem = resolved.unwrap_err();
            assert_eq!(problem.code, ProblemCode::SecretUnresolved, "{text}");
            assert!(!problem.to_string().contains("path"), "{problem}");
        }
        for text in ["a:b", "profile:x", "https://x", "environment:x"] {
            let resolved = resolve(text, "p", &Location::Default, &environment, &secrets);
            assert_eq!(resolved.unwrap().expose(), text);
        }
    }

    #[test]
    fn references() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "from-file\r\n").unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        std::fs::write(folder.path().join("binary"), [0xff]).unwrap();
        std::fs::write(folder.path().join("large"), vec![b'x'; 64 * 1024 + 1]).unwrap();
        let place = Location::File {
            file: folder.path().join("holdall.toml"),
            line: 1,
            column: 1,
        };
        let environment = Environment::from_iter([("TOKEN", "from-env")]);
        let secrets = Secrets::new();
        let get = |text: &str, environment: &Environment| {
            resolve(text, "p", &place, environment, &secrets)
                .map(|secret| secret.expose().to_owned())
                .map_err(|problem| {
                    (
                        problem.found,
                        problem.suggestion,
                        problem.fix.unwrap_or_default(),
                    )
                })
        };
        assert_eq!(get("env:TOKEN", &environment).unwrap(), "from-env");
        assert_eq!(get("file:token", &environment).unwrap(), "from-file");
        assert_eq!(get("inline:x", &environment).unwrap(), "inline:x");
        assert_eq!(
            secrets.redact("from-env from-file inline:x"),
            "[redacted] [redacted] [redacted]"
        );

        let (found, suggestion, fix) = get("env:TOKN", &environment).unwrap_err();
        assert_eq!(
            (&*found, suggestion.as_deref(), &*fix),
            ("env:TOKN, not set", Some("TOKEN"), "set TOKN")
        );
        let (_, _, fix) = get("env:TOKEN", &Environment::none()).unwrap_err();
        assert_eq!(fix, "hand the environment to the host: `Builder::env()`");
        for (reference, found) in [
            (
                "file:none",
                "file:none, No such file or directory (os error 2)",
            ),
            ("file:binary", "file:binary, not UTF-8"),
            ("file:large", "file:large, larger than 64 KiB"),
            ("file:empty", "file:empty, which is empty"),
        ] {
            assert_eq!(get(reference, &environment).unwrap_err().0, found);
        }
    }
}
