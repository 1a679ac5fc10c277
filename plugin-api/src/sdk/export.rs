//! The macro that makes a library a plugin.

use crate::abi::tables::PluginTable;
use crate::descriptor::Flags;

/// The compiler that built this crate.
pub const RUSTC: &str = env!("HOLDALL_RUSTC");
/// The target that this crate is built for.
pub const TARGET: &str = env!("HOLDALL_TARGET");

/// A plugin that is linked into the program. It goes through the same checks as a file.
#[derive(Clone, Copy, Debug)]
pub struct StaticPlugin {
    /// What a file's entry symbol would be.
    pub entry: extern "C" fn() -> *const PluginTable,
    /// What a file's section would be.
    pub section: &'static [u8],
}

/// The flags of a plugin in Rust with this runtime.
pub const fn flags(mode: super::guard::RuntimeMode) -> u32 {
    use super::guard::RuntimeMode;
    let runtime = match mode {
        RuntimeMode::None => 0,
        RuntimeMode::Tokio => Flags::RUNTIME_TOKIO,
        RuntimeMode::TokioSpawn => Flags::RUNTIME_TOKIO_SPAWN,
        RuntimeMode::Blocking => Flags::BLOCKING,
    };
    let unwind = if cfg!(panic = "unwind") {
        Flags::PANIC_UNWIND
    } else {
        0
    };
    let rust = if cfg!(feature = "layout-check") {
        Flags::RUST
    } else {
        0
    };
    runtime | unwind | rust
}

/// Whether a text is the scheme of a URL, in lower case.
pub const fn is_scheme(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        let byte = bytes[index];
        let inner = matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.');
        if !byte.is_ascii_lowercase() && (index == 0 || !inner) {
            return false;
        }
        index += 1;
    }
    !bytes.is_empty()
}

/// The layout description, null without the feature `layout-check`.
pub const fn rust_layout() -> *const std::ffi::c_void {
    #[cfg(feature = "layout-check")]
    return (&raw const crate::abi::layout::RUST_LAYOUT).cast();
    #[cfg(not(feature = "layout-check"))]
    return std::ptr::null();
}

/// Makes the library a plugin: `PLUGIN` for programs that link it in, one symbol and one section
/// for those that load it.
///
/// ```text
/// holdall_plugin_api::export_plugin! {
///     backend: Memory,
///     name: "memory",
///     schemes: ["memory"],
///     runtime: none,                 // none (default), blocking; tokio, tokio_spawn: with the feature `tokio`
///     max_in_flight: 8,              // most operations at once; any number when it is left out
///     operations: [head, list],      // beside the five required ones
///     capabilities: [atomic_put, content_type],   // or the name of a constant
///     config_schema: "config.schema.json",
/// }
/// ```
///
/// Fields stand in any order; `runtime` and `max_in_flight` may be left out, and so may
/// `extensions: path::to::function`, a `fn(&str) -> *const c_void` that answers a table by its name
/// (rule R18 of [`abi`](crate::abi)), or null.
///
/// The schema is a file beside `Cargo.toml`. The macro emits a test that fails when it is not what
/// `schemars` (a dev-dependency of the plugin) derives from the configuration type; run
/// `HOLDALL_UPDATE=1 cargo test` to write it, also for the first time.
#[macro_export]
macro_rules! export_plugin {
    ($($fields:tt)*) => {
        $crate::__export_fields! { () () () () () () () () () $($fields)* }
    };
}

/// Puts the fields into their order. A name that is unknown or missing is a compile error that says so.
///
/// ```compile_fail
/// holdall_plugin_api::export_plugin! { nmae: "x" }
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __export_fields {
    (() $n:tt $s:tt $r:tt $m:tt $o:tt $c:tt $j:tt $x:tt backend: $v:ty $(, $($rest:tt)*)?) => {
        $crate::__export_fields! { (backend: $v,) $n $s $r $m $o $c $j $x $($($rest)*)? }
    };
    ($b:tt () $s:tt $r:tt $m:tt $o:tt $c:tt $j:tt $x:tt name: $v:literal $(, $($rest:tt)*)?) => {
        $crate::__export_fields! { $b (name: $v,) $s $r $m $o $c $j $x $($($rest)*)? }
    };
    ($b:tt $n:tt () $r:tt $m:tt $o:tt $c:tt $j:tt $x:tt schemes: $v:tt $(, $($rest:tt)*)?) => {
        $crate::__export_fields! { $b $n (schemes: $v,) $r $m $o $c $j $x $($($rest)*)? }
    };
    ($b:tt $n:tt $s:tt () $m:tt $o:tt $c:tt $j:tt $x:tt runtime: $v:ident $(, $($rest:tt)*)?) => {
        $crate::__export_fields! { $b $n $s (runtime: $v,) $m $o $c $j $x $($($rest)*)? }
    };
    ($b:tt $n:tt $s:tt $r:tt () $o:tt $c:tt $j:tt $x:tt max_in_flight: $v:literal $(, $($rest:tt)*)?) => {
        $crate::__export_fields! { $b $n $s $r (max_in_flight: $v,) $o $c $j $x $($($rest)*)? }
    };
    ($b:tt $n:tt $s:tt $r:tt $m:tt () $c:tt $j:tt $x:tt operations: $v:tt $(, $($rest:tt)*)?) => {
        $crate::__export_fields! { $b $n $s $r $m (operations: $v,) $c $j $x $($($rest)*)? }
    };
    ($b:tt $n:tt $s:tt $r:tt $m:tt $o:tt () $j:tt $x:tt capabilities: $v:tt $(, $($rest:tt)*)?) => {
        $crate::__export_fields! { $b $n $s $r $m $o (capabilities: $v,) $j $x $($($rest)*)? }
    };
    ($b:tt $n:tt $s:tt $r:tt $m:tt $o:tt $c:tt () $x:tt config_schema: $v:literal $(, $($rest:tt)*)?) => {
        $crate::__export_fields! { $b $n $s $r $m $o $c (config_schema: $v,) $x $($($rest)*)? }
    };
    ($b:tt $n:tt $s:tt $r:tt $m:tt $o:tt $c:tt $j:tt () extensions: $v:path $(, $($rest:tt)*)?) => {
        $crate::__export_fields! { $b $n $s $r $m $o $c $j (extensions: $v,) $($($rest)*)? }
    };
    (
        ($($b:tt)+) ($($n:tt)+) ($($s:tt)+) ($($r:tt)*)
        ($($m:tt)*) ($($o:tt)+) ($($c:tt)+) ($($j:tt)+) ($($x:tt)*)
    ) => {
        $crate::__export_plugin! { $($b)+ $($n)+ $($s)+ $($r)* $($m)* $($o)+ $($c)+ $($j)+ $($x)* }
    };
    ($b:tt $n:tt $s:tt $r:tt $m:tt $o:tt $c:tt $j:tt $x:tt) => {
        compile_error!(
            "`export_plugin!` needs backend, name, schemes, operations, capabilities and config_schema"
        );
    };
    ($b:tt $n:tt $s:tt $r:tt $m:tt $o:tt $c:tt $j:tt $x:tt $other:tt $($rest:tt)*) => {
        compile_error!(concat!(
            "`export_plugin!`: `", stringify!($other), "` is unknown, stands twice or has a wrong value; its fields are ",
            "backend, name, schemes, runtime, max_in_flight, operations, capabilities, config_schema and extensions"
        ));
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_plugin {
    (
        backend: $backend:ty,
        name: $name:literal,
        schemes: [$($scheme:literal),* $(,)?],
        $(runtime: $runtime:ident,)?
        $(max_in_flight: $max_in_flight:literal,)?
        operations: [$($operation:ident),* $(,)?],
        capabilities: $capabilities:tt,
        config_schema: $schema:literal,
        $(extensions: $extensions:path,)?
    ) => {
        #[cfg(panic = "abort")]
        compile_error!("a plugin must unwind: with panic = \"abort\" a panic in it would end the host");

        #[doc(hidden)]
        #[derive(Debug)]
        pub struct __HoldallPlugin;

        impl $crate::sdk::glue::Exported for __HoldallPlugin {
            type Backend = $backend;
            const OPERATIONS: $crate::Operations =
                $crate::Operations::REQUIRED$(.with($crate::Operations::$operation))*;
            const CAPABILITIES: $crate::Capabilities = $crate::__capabilities!($capabilities);
            const STATE: &'static $crate::sdk::guard::PluginState = {
                static STATE: $crate::sdk::guard::PluginState =
                    $crate::sdk::guard::PluginState::new(__HOLDALL_MODE);
                &STATE
            };
            $(const EXTENSIONS: ::core::option::Option<fn(&str) -> *const ::core::ffi::c_void> =
                ::core::option::Option::Some($extensions);)?
        }

        const __HOLDALL_MODE: $crate::sdk::guard::RuntimeMode = $crate::__runtime!($($runtime)?);
        const _: () = assert!(
            $crate::descriptor::is_name($name),
            "a plugin's name is [a-z0-9][a-z0-9-]{{0,62}}"
        );
        $(const _: () = assert!(
            $crate::sdk::export::is_scheme($scheme),
            "a scheme is that of a URL: a letter, then letters, digits, \"+\", \"-\" and \".\", in lower case"
        );)*
        const __HOLDALL_SCHEMA: &str = $crate::__config_schema!($schema);
        const __HOLDALL_PIECES: &[$crate::descriptor::json::Piece] = {
            use $crate::descriptor::json::Piece::{Authors, Raw, Text};
            &[
                Raw("{\"name\":\""), Raw($name),
                Raw("\",\"version\":\""), Text(env!("CARGO_PKG_VERSION")),
                Raw("\",\"schemes\":["), Raw($crate::__join!($($scheme),*)),
                Raw("],\"entry\":\""), Raw(concat!("holdall_plugin_v1_", $name)),
                Raw("\",\"summary\":\""), Text(env!("CARGO_PKG_DESCRIPTION")),
                Raw("\",\"license\":\""), Text(env!("CARGO_PKG_LICENSE")),
                Raw("\",\"authors\":["), Authors(env!("CARGO_PKG_AUTHORS")),
                Raw("],\"homepage\":\""), Text(env!("CARGO_PKG_HOMEPAGE")),
                Raw("\",\"rustc\":\""), Text($crate::sdk::export::RUSTC),
                Raw("\",\"target\":\""), Text($crate::sdk::export::TARGET),
                Raw("\",\"config_schema\":"), Raw(__HOLDALL_SCHEMA),
                Raw("}"),
            ]
        };
        const __HOLDALL_JSON: [u8; $crate::descriptor::json::len(__HOLDALL_PIECES)] =
            $crate::descriptor::json::text(__HOLDALL_PIECES);

        // Kept by the linker although nothing in the library reads it.
        #[used]
        #[cfg_attr(any(target_os = "macos", target_os = "ios"), unsafe(link_section = "__DATA,__holdall"))]
        #[cfg_attr(not(any(target_os = "macos", target_os = "ios")), unsafe(link_section = ".holdall"))]
        static __HOLDALL_SECTION: [u8; $crate::descriptor::written_len(__HOLDALL_JSON.len())] =
            $crate::descriptor::write(
                $crate::descriptor::Header {
                    flags: $crate::sdk::export::flags(__HOLDALL_MODE),
                    operations: <__HoldallPlugin as $crate::sdk::glue::Exported>::OPERATIONS,
                    capabilities: <__HoldallPlugin as $crate::sdk::glue::Exported>::CAPABILITIES,
                    max_in_flight: 0 $(+ $max_in_flight)?,
                },
                &__HOLDALL_JSON,
            );

        static __HOLDALL_TABLE: $crate::abi::tables::PluginTable = $crate::abi::tables::PluginTable {
            abi_major: $crate::abi::VERSION.major as u32,
            abi_minor: $crate::abi::VERSION.minor as u32,
            descriptor: $crate::abi::tables::FfiSlice {
                ptr: (&raw const __HOLDALL_SECTION).cast(),
                len: __HOLDALL_SECTION.len(),
            },
            rust_layout: $crate::sdk::export::rust_layout(),
            open: Some($crate::sdk::glue::Glue::<__HoldallPlugin>::open),
            ops: $crate::sdk::glue::Glue::<__HoldallPlugin>::OPS,
            get_extension: $crate::sdk::glue::Glue::<__HoldallPlugin>::GET_EXTENSION,
            ..$crate::abi::grow::empty()
        };

        #[unsafe(export_name = concat!("holdall_plugin_v1_", $name))]
        extern "C" fn __holdall_entry() -> *const $crate::abi::tables::PluginTable {
            &__HOLDALL_TABLE
        }

        /// This plugin, for a program that links it in.
        pub static PLUGIN: $crate::sdk::export::StaticPlugin = $crate::sdk::export::StaticPlugin {
            entry: __holdall_entry,
            section: &__HOLDALL_SECTION,
        };

        #[cfg(test)]
        #[test]
        fn config_schema_is_current() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/", $schema);
            let derived = schemars::schema_for!(<$backend as $crate::StorageBackend>::Config).to_value();
            if ::std::env::var_os("HOLDALL_UPDATE").is_some() {
                let text = format!("{derived:#}\n");
                ::std::fs::write(path, text).expect("the schema can be written");
            }
            let stored = ::std::fs::read(path).expect("the schema can be read");
            let stored: ::serde_json::Value = match ::serde_json::from_slice(&stored) {
                Ok(stored) => stored,
                Err(fault) => panic!("{path}: {fault}; run HOLDALL_UPDATE=1 cargo test to write it anew"),
            };
            assert!(
                stored == derived,
                concat!($schema, " is not what the configuration type derives; run HOLDALL_UPDATE=1 cargo test")
            );
            let unmarked = $crate::sdk::schema::unmarked_secrets(&stored);
            assert!(
                unmarked.is_empty(),
                "named like secrets, but not marked: {unmarked:?}; make them fields of the type `Secret`, or say \
                 #[schemars(extend(\"x-secret\" = false))] if they are none"
            );
            let descriptor = $crate::descriptor::Descriptor::parse(PLUGIN.section).expect("the descriptor parses");
            assert!($crate::rules::broken(descriptor.operations, descriptor.capabilities).is_empty());
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __capabilities {
    ([$($capability:ident),* $(,)?]) => {
        $crate::Capabilities::EMPTY$(.with($crate::Capabilities::$capability))*
    };
    ($constant:ident) => {
        $constant
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __join {
    () => { "" };
    ($one:literal) => { concat!("\"", $one, "\"") };
    ($one:literal, $($more:literal),+) => { concat!("\"", $one, "\",", $crate::__join!($($more),+)) };
}

/// ```
/// const _: holdall_plugin_api::sdk::guard::RuntimeMode = holdall_plugin_api::__runtime!(tokio);
/// ```
#[doc(hidden)]
#[macro_export]
#[cfg(feature = "tokio")]
macro_rules! __tokio {
    ($mode:ident) => {
        $crate::sdk::guard::RuntimeMode::$mode
    };
}

/// Without the runtime that it names, a plugin would panic at its first timer or connection.
///
/// ```compile_fail
/// const _: holdall_plugin_api::sdk::guard::RuntimeMode = holdall_plugin_api::__runtime!(tokio);
/// ```
#[doc(hidden)]
#[macro_export]
#[cfg(not(feature = "tokio"))]
macro_rules! __tokio {
    ($mode:ident) => {
        compile_error!(
            "this `runtime` is a feature: holdall-plugin-api = { .., features = [\"tokio\"] } in Cargo.toml"
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __runtime {
    () => {
        $crate::sdk::guard::RuntimeMode::None
    };
    (none) => {
        $crate::sdk::guard::RuntimeMode::None
    };
    (tokio) => {
        $crate::__tokio!(Tokio)
    };
    (tokio_spawn) => {
        $crate::__tokio!(TokioSpawn)
    };
    (blocking) => {
        $crate::sdk::guard::RuntimeMode::Blocking
    };
    ($other:ident) => {
        compile_error!("runtime is one of: none, blocking, tokio, tokio_spawn")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_those_of_urls() {
        for good in ["s3", "file", "a+b-c.d"] {
            assert!(is_scheme(good), "{good}");
        }
        for bad in ["", "3s", "S3", "a_b", "-a", "a b"] {
            assert!(!is_scheme(bad), "{bad}");
        }
    }
}
