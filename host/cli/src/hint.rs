//! Help lines for failures.

use std::io;

use holdall::fault::Code;
use holdall::{Error, ErrorKind};

/// Returns the fix of a fault that a fact of this name stands for.
pub(crate) fn of_fault(fact: &str) -> Option<&'static str> {
    let code = Code::ALL.iter().find(|code| code.name() == fact);
    code.map(|code| code.usual_fix())
}

/// Returns the help line for an error of the library.
pub(crate) fn for_error(error: &Error) -> Option<String> {
    let place = error.place();
    let backend = place.backend.as_deref().unwrap_or("BACKEND");
    let hint = match error.kind() {
        ErrorKind::FileNotFound => {
            return Some(format!("`holdall ls {backend}:` shows what is there"));
        }
        ErrorKind::InvalidKey => {
            "a key has 1 to 1024 bytes; no leading, trailing or doubled \"/\", no \".\" or \"..\" between slashes, \
             no backslash or control character, no white space at its ends"
        }
        ErrorKind::InvalidRange => match error.fact("size") {
            Some(size) => {
                return Some(format!(
                    "the object has {size} bytes; ask for a range that starts before its end"
                ));
            }
            None => "ask for a range that starts before the object's end",
        },
        ErrorKind::InvalidArgument => "`holdall help COMMAND` says what each option takes",
        ErrorKind::InvalidFileType => {
            "this backend does not take such files; see its configuration"
        }
        ErrorKind::NotModified => {
            "the object still is what --if-none-match or --if-modified-since says"
        }
        ErrorKind::PreconditionFailed => {
            "the object is not in the state that was asked for; `holdall head` shows its etag"
        }
        ErrorKind::Conflict => {
            "another writer changed the object meanwhile, or another key is in the way (\"a\" beside \"a/b\"); list, then repeat"
        }
        ErrorKind::ChecksumMismatch => {
            "the bytes do not have the stated digest; read the source again"
        }
        ErrorKind::Unsupported => {
            "`holdall plugins` shows what each plugin can do; leave out the option"
        }
        ErrorKind::QuotaExceeded => "make room in the store, or raise its quota",
        ErrorKind::TooLarge => "store something smaller, or raise the limit in the configuration",
        ErrorKind::PermissionDenied => {
            "check what the backend's credentials, or the owner and mode of its folder, allow"
        }
        ErrorKind::Unauthenticated => "check the backend's credentials in the configuration",
        ErrorKind::ContainerMissing => {
            "the backend's root or bucket is not there; check its configuration"
        }
        ErrorKind::RateLimited => "repeat later, with fewer --jobs",
        ErrorKind::Unavailable | ErrorKind::Timeout => {
            "check that the store can be reached, then repeat"
        }
        ErrorKind::Corrupt => "the stored bytes are damaged: restore the object from another copy",
        ErrorKind::ConfigInvalid => {
            "correct the configuration; `holdall config check` lists every problem without opening anything"
        }
        ErrorKind::BackendNotRegistered if error.fact("plugin_present").is_some() => {
            "the plugin of that name needs a backend: add the section, and name the file by --config or HOLDALL_CONFIG"
        }
        ErrorKind::BackendNotRegistered => {
            "write the address as BACKEND:KEY with one of the available backends, or configure this one (--config FILE)"
        }
        ErrorKind::PluginLoad => {
            let fix = error.facts().find_map(|(name, _)| of_fault(name));
            fix.unwrap_or(
                "`holdall plugins` shows every plugin file with its verdict, `holdall plugins verify FILE` one of them; \
                 --plugin-dir DIR looks elsewhere",
            )
        }
        ErrorKind::PluginFault => {
            "the plugin is at fault, not the input; report this message to its author"
        }
        ErrorKind::Cancelled | ErrorKind::Other => return None,
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns the help line for a local file; may be empty.
pub(crate) fn for_file(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "check owner and mode",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_kinds_and_hints() {
        let mut page = String::new();
        for kind in ErrorKind::ALL {
            let hint = for_error(&Error::new(*kind));
            page += &format!("{}: {}\n", kind.code(), kind.text());
            page += &hint.map_or_else(String::new, |hint| format!("  help: {hint}\n"));
        }
        insta::assert_snapshot!("kinds_and_hints", page);
    }
}
