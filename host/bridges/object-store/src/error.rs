//! Converts errors in both directions. The host's error is the source of the other one.

use holdall_plugin_api::{Error, ErrorKind};
use object_store::Error as StoreError;

const STORE: &str = "Holdall";

/// The operation, where one kind maps to several variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum During {
    /// A put: `Unsupported` becomes `NotImplemented`, as the tests of `object_store` expect.
    Put,
    /// A create-only put or copy: `PreconditionFailed` becomes `AlreadyExists`.
    Create,
    /// Any other operation.
    Other,
}

/// Returns the conversion from the host's errors.
pub(super) fn outward(during: During) -> impl Fn(Error) -> StoreError + Copy + Send {
    move |error| wrap(error, during)
}

fn wrap(error: Error, during: During) -> StoreError {
    let path = error.place().key.clone().unwrap_or_default();
    let kind = error.kind();
    if kind == ErrorKind::Unsupported && during != During::Other {
        return StoreError::NotImplemented {
            operation: error.to_string(),
            implementer: STORE.to_owned(),
        };
    }
    let source = Box::new(error);
    match kind {
        ErrorKind::FileNotFound => StoreError::NotFound { path, source },
        ErrorKind::PreconditionFailed if during == During::Create => {
            StoreError::AlreadyExists { path, source }
        }
        ErrorKind::PreconditionFailed => StoreError::Precondition { path, source },
        ErrorKind::NotModified => StoreError::NotModified { path, source },
        ErrorKind::Unsupported => StoreError::NotSupported { source },
        ErrorKind::PermissionDenied => StoreError::PermissionDenied { path, source },
        ErrorKind::Unauthenticated => StoreError::Unauthenticated { path, source },
        _ => StoreError::Generic {
            store: STORE,
            source,
        },
    }
}

/// Returns the error for a breach of the contract by the plugin.
pub(super) fn fault(what: &'static str) -> Error {
    Error::new(ErrorKind::PluginFault).with_message(what)
}

/// Finds the host's error in the source chain of another error.
///
/// ```
/// use holdall::{Error, ErrorKind};
///
/// let outer = std::io::Error::other(Error::not_found());
/// let inner = holdall_object_store::cause(&outer);
/// assert_eq!(inner.map(Error::kind), Some(ErrorKind::FileNotFound));
/// ```
pub fn cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| {
        // `io::Error::source` skips the error that it wraps.
        let held = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        match held {
            Some(held) => held
                .downcast_ref::<Error>()
                .or_else(|| held.source().and_then(cause)),
            None => error.downcast_ref::<Error>(),
        }
    })
}

/// Converts an error: returns the host's own error from its source chain, else a new one of the
/// corresponding kind.
pub fn into_error(error: StoreError) -> Error {
    if let Some(ours) = cause(&error) {
        return ours.clone();
    }
    let (kind, path) = match &error {
        StoreError::NotFound { path, .. } => (ErrorKind::FileNotFound, Some(path)),
        // Create-only is a precondition.
        StoreError::AlreadyExists { path, .. } | StoreError::Precondition { path, .. } => {
            (ErrorKind::PreconditionFailed, Some(path))
        }
        StoreError::NotModified { path, .. } => (ErrorKind::NotModified, Some(path)),
        StoreError::PermissionDenied { path, .. } => (ErrorKind::PermissionDenied, Some(path)),
        StoreError::Unauthenticated { path, .. } => (ErrorKind::Unauthenticated, Some(path)),
        StoreError::InvalidPath { .. } => (ErrorKind::InvalidKey, None),
        StoreError::NotSupported { .. } | StoreError::NotImplemented { .. } => {
            (ErrorKind::Unsupported, None)
        }
        StoreError::UnknownConfigurationKey { .. } => (ErrorKind::ConfigInvalid, None),
        _ => (ErrorKind::Other, None),
    };
    let key = path.cloned();
    Error::new(kind).because(error).at(|place| place.key = key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(kind: ErrorKind) -> Error {
        let error = Error::new(kind).with_message("why").with_fact("size", 7);
        error.at(|place| place.key = Some("a/b".to_owned()))
    }

    #[test]
    fn every_kind_comes_back_whole() {
        for kind in ErrorKind::ALL {
            let back = into_error(outward(During::Other)(ours(*kind)));
            assert_eq!(format!("{back:?}"), format!("{:?}", ours(*kind)));
        }
    }

    #[test]
    fn kinds_have_their_names_on_the_other_side() {
        use StoreError as E;
        let other = |kind| outward(During::Other)(ours(kind));
        assert!(
            matches!(other(ErrorKind::FileNotFound), E::NotFound { path, .. } if path == "a/b")
        );
        assert!(matches!(
            other(ErrorKind::PreconditionFailed),
            E::Precondition { .. }
        ));
        assert!(matches!(
            other(ErrorKind::NotModified),
            E::NotModified { .. }
        ));
        assert!(matches!(
            other(ErrorKind::Unsupported),
            E::NotSupported { .. }
        ));
        assert!(matches!(
            other(ErrorKind::PermissionDenied),
            E::PermissionDenied { .. }
        ));
        assert!(matches!(
            other(ErrorKind::Unauthenticated),
            E::Unauthenticated { .. }
        ));
        assert!(matches!(other(ErrorKind::RateLimited), E::Generic { .. }));
        let create = outward(During::Create)(ours(ErrorKind::PreconditionFailed));
        assert!(matches!(create, E::AlreadyExists { .. }));
        let put = outward(During::Put)(ours(ErrorKind::Unsupported));
        assert!(matches!(&put, E::NotImplemented { operation, .. } if operation.contains("why")));
        assert_eq!(into_error(put).kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn errors_of_other_stores_find_their_kind() {
        let source = || Box::<dyn std::error::Error + Send + Sync>::from("said");
        let missing = StoreError::NotFound {
            path: "a".to_owned(),
            source: source(),
        };
        let missing = into_error(missing);
        assert_eq!(missing.kind(), ErrorKind::FileNotFound);
        assert_eq!(missing.place().key.as_deref(), Some("a"));
        let exists = StoreError::AlreadyExists {
            path: "a".to_owned(),
            source: source(),
        };
        assert_eq!(into_error(exists).kind(), ErrorKind::PreconditionFailed);
        let generic = StoreError::Generic {
            store: "x",
            source: source(),
        };
        let generic = into_error(generic);
        assert_eq!(generic.kind(), ErrorKind::Other);
        let said = generic
            .cause()
            .map(|cause| cause.chain().any(|link| link.text == "said"));
        assert_eq!(said, Some(true));
    }

    #[test]
    fn the_cause_is_found_through_wrappers() {
        let theirs = outward(During::Other)(ours(ErrorKind::RateLimited));
        let wrapped = std::io::Error::other(std::io::Error::from(theirs));
        assert_eq!(
            cause(&wrapped).map(Error::kind),
            Some(ErrorKind::RateLimited)
        );
        assert!(cause(&std::io::Error::other("x")).is_none());
    }
}
