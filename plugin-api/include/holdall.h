// Tables of a Holdall plugin. Made from plugin-api/src/abi/tables.rs; do not edit.

// Rules for both sides. The host keeps the same ones.
//
// Tables and answers
//   - `size` comes first (R1). In a table that you make it is `sizeof`. In an answer (`out`, `err`, `end`) it holds
//     before the call how many bytes the caller has room for, and after it how many you filled: copy
//     min(room, sizeof) bytes. Fields beyond `size` are absent and read as zero. A field that a later header adds is
//     zero in a table that names its fields: g++ -Wextra warns of it, -Wno-missing-field-initializers is right here.
//   - An item of an array that states the size of its items (`entry_size`, `result_size`, `cause_size`) grows too:
//     step by the stated size.
//   - A field named `reserved` is zero. `extension` is null, or (since 1.1) a chain of `HoldallFfiExtension`: read at most
//     64 links, skip every kind that you do not know (R17).
//
// Texts
//   - UTF-8 with a length, without a final zero. A null `ptr` is an absent text, an empty text has a non-null one
//     (R4). A length past INT64_MAX, or text that is not UTF-8, is a fault of the plugin.
//
// Ownership
//   - Who allocates frees (R3). An answer that points to memory of yours names it in `owner` and frees it in
//     `release`, which the host calls once, as soon as it has copied the texts (R6), on any thread. A null
//     `release` means that nothing is owned.
//   - Arguments, and all that they point to, are lent until the operation is ready or dropped (R5);
//     `HoldallOpenArgs.config` only until `open` returns.
//   - The body of an upload or of a part and the payload of a vendor's call are given, not lent: yours from the first
//     instruction on, whatever you return (R8). Call their `drop` or `release` once, on every path.
//   - The host's services live as long as the process (R13), and a plugin is never unmapped.
//
// Operations
//   - `start` begins an operation and polls it once (R7). It returns HOLDALL_READY with `out` filled, HOLDALL_FAILED
//     with `err` filled, or HOLDALL_PENDING with `fut` filled. State of a pending operation lies in `storage`
//     (HOLDALL_STORAGE_BYTES, aligned to 16, never moved), and `fut->boxed` is null; or behind `fut->boxed`.
//   - A pending operation is polled by one thread at a time, not always the same one, and its `drop` is called once,
//     ready or not. After HOLDALL_PENDING, wake: clone the waker, call `wake_by_ref` from any thread, then `drop` it.
//     The borrowed waker of a call ends with the call (R9). A wake without progress is harmless.
//   - A dropped operation leaves the previous object and no residue.
//   - The memory of `HoldallRangeStreamTable.poll_into` is lent until `drop` of the reader has returned: write into it
//     until then, also between two calls, and never after it (R20).
//   - `effective_minor` of `HoldallOpenArgs` says which minor both sides speak: set no bit of a later one in
//     `HoldallOpenOut` (R19).
//   - No exception, longjmp or panic leaves a function (R10). A caught one is HOLDALL_PANICKED with `err` filled: the
//     host opens a new instance.
//
// Threads
//   - Operations of one backend run at once, on any thread. `max_in_flight` in the descriptor bounds how many.
//   - A body may move to another thread between two polls, and is used by one thread at a time (R11).
//   - A backend outlives its operations and bodies; `drop` of the table is called once, after the last (R12).
//   - Do not block, unless the descriptor has HOLDALL_FLAG_BLOCKING (R16).
//
// Bodies
//   - A chunk has at most 1 MiB (HOLDALL_MAX_CHUNK), and `HoldallDownloadArgs.chunk_hint` says what the caller prefers.
//     A body that ends before its stated length, or goes on after it, is a fault.
//   - Read the body of an upload to HOLDALL_END before you publish the object: the host finds a wrong length or
//     digest there.
//
// Errors
//   - `kind` says what a caller can do, `message` is safe for clients (no secret, no path of the server), `facts` and
//     `causes` are for operators. Facts that a kind must carry: HOLDALL_KIND_INVALID_RANGE `size` (bytes of the
//     object); HOLDALL_KIND_CONFIG_INVALID one fact for each wrong field, its path as the name.
//
// The descriptor
//   - One section (HOLDALL_SECTION) of plain bytes without relocations: `HoldallHeader`, HOLDALL_FINGERPRINTS, JSON.
//   - Keys of the JSON, all of them texts unless said otherwise: name ([a-z0-9][a-z0-9-]{0,62}), version (SemVer), schemes
//     (array), entry (the exported symbol: HOLDALL_ENTRY_PREFIX and the name), summary, license, authors (array),
//     homepage, language, rustc, target, config_schema (a JSON Schema of the configuration; fields with secrets
//     say "x-secret": true). Required: name, version, schemes, entry, config_schema.
//   - The entry symbol returns a `HoldallPluginTable` whose `descriptor` is the same bytes.

#ifndef HOLDALL_H
#define HOLDALL_H

#include <stddef.h>
#include <stdint.h>

// Not yet: the waker will be woken.
#define HOLDALL_PENDING 0

// Done, `out` is filled.
#define HOLDALL_READY 1

// Done, `err` is filled.
#define HOLDALL_FAILED 2

// A panic was caught, `err` is filled; the instance must not be used again.
#define HOLDALL_PANICKED 3

// The stream has ended.
#define HOLDALL_END 4

// Bytes of storage that a caller provides for a pending operation, aligned to 16.
#define HOLDALL_STORAGE_BYTES 512

// Borrowed bytes, or borrowed UTF-8 text. A null `ptr` is an absent text; an empty text has a non-null one.
typedef struct HoldallFfiSlice {
  // First byte.
  const uint8_t *ptr;
  // Bytes.
  size_t len;
} HoldallFfiSlice;

// A name and its value.
typedef struct HoldallFfiPair {
  // Text.
  struct HoldallFfiSlice name;
  // Text.
  struct HoldallFfiSlice value;
} HoldallFfiPair;

// An array of pairs.
typedef struct HoldallFfiPairs {
  // First pair.
  const struct HoldallFfiPair *ptr;
  // Pairs.
  size_t len;
} HoldallFfiPairs;

// Owned bytes that may be read from any thread until they are released.
typedef struct HoldallFfiBytes {
  // First byte.
  const uint8_t *ptr;
  // Bytes.
  size_t len;
  // State of the maker; a Rust `Bytes` lies here inline.
  void *owner[4];
  // Frees them; called once, from any thread. Null for static bytes.
  void (*release)(void *(*owner)[4]);
} HoldallFfiBytes;

// One link of a chain of causes.
typedef struct HoldallFfiCause {
  // Short and stable, may be empty.
  struct HoldallFfiSlice code;
  // What was said.
  struct HoldallFfiSlice text;
} HoldallFfiCause;

// A flattened error. Its receiver copies it at once and then releases it.
typedef struct HoldallFfiError {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Number of the kind; unknown ones count as "other".
  uint32_t kind;
  // 0 never, 1 safe, 2 if idempotent, 3 after `retry_after_ms`: nothing has happened.
  uint32_t retry;
  // Milliseconds; 0 unless `retry` is 3.
  uint64_t retry_after_ms;
  // Stable code; absent: the kind's own.
  struct HoldallFfiSlice code;
  // Safe for clients.
  struct HoldallFfiSlice message;
  // HTTP status or the like, 0 when unknown.
  uint32_t provider_status;
  // Length of `causes`.
  uint32_t cause_count;
  // Bytes of a cause.
  uint32_t cause_size;
  // The provider's own code.
  struct HoldallFfiSlice provider_code;
  // The provider's id of the request.
  struct HoldallFfiSlice request_id;
  // From the nearest cause to the root, each `cause_size` bytes after the one before.
  const struct HoldallFfiCause *causes;
  // Names and values, such as `size`.
  struct HoldallFfiPairs facts;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallFfiError;

// An owned waker.
typedef struct HoldallFfiWaker {
  // State of the maker.
  const void *data[2];
  // How to use it.
  const struct HoldallFfiWakerTable *table;
} HoldallFfiWaker;

// How to use a waker.
typedef struct HoldallFfiWakerTable {
  // Makes an owned waker.
  struct HoldallFfiWaker (*clone)(const void *const (*data)[2]);
  // Wakes; callable from any thread.
  void (*wake_by_ref)(const void *const (*data)[2]);
  // Ends an owned waker.
  void (*drop)(const void *(*data)[2]);
} HoldallFfiWakerTable;

// What an operation runs under. Valid as long as the operation.
typedef struct HoldallFfiCall {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // On the clock `HostServices::monotonic_ns`; `u64::MAX` for none.
  uint64_t deadline_ns;
  // Becomes non-zero when the caller has gone; null for never. Read atomically.
  const uint8_t *cancelled;
  // W3C trace id, zero for none.
  uint8_t trace_id[16];
  // W3C span id, zero for none.
  uint8_t span_id[8];
  // For logs; may be absent.
  struct HoldallFfiSlice request_id;
} HoldallFfiCall;

// Borrowed for one call: who to wake, and what the operation runs under.
typedef struct HoldallFfiContext {
  // State of the waker.
  const void *const (*data)[2];
  // How to use it.
  const struct HoldallFfiWakerTable *table;
  // May be null.
  const struct HoldallFfiCall *call;
} HoldallFfiContext;

// Storage of a pending operation. Callers align it to 16; only its size is part of the ABI.
typedef struct HoldallFfiStorage {
  // The callee's.
  uint8_t bytes[HOLDALL_STORAGE_BYTES];
} HoldallFfiStorage;

// What a call came to: [`PENDING`], [`READY`], [`FAILED`], [`PANICKED`] or [`END`].
typedef uint8_t HoldallStatus;

// A pending operation. Null `boxed`: its state lies in the caller's storage.
typedef struct HoldallFfiFuture {
  // State outside the storage.
  void *boxed;
  // Goes on; anything but `PENDING` ends it.
  HoldallStatus (*poll)(void *state,
                        const struct HoldallFfiContext *cx,
                        void *out,
                        struct HoldallFfiError *err);
  // Ends it; called once, also after it is ready.
  void (*drop)(void *state);
} HoldallFfiFuture;

// What is known at the end of a stream.
typedef struct HoldallFfiTrailers {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Bytes that went through; `u64::MAX` when not counted.
  uint64_t bytes;
  // Which digests are valid: 1 crc32c, 2 md5, 4 sha256.
  uint32_t known;
  // CRC-32C.
  uint32_t crc32c;
  // MD5.
  uint8_t md5[16];
  // SHA-256.
  uint8_t sha256[32];
} HoldallFfiTrailers;

// A range of an open file, lent by a stream.
typedef struct HoldallFfiFile {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Open for reading: a file descriptor, on Windows a `HANDLE`. Neither closed nor moved by who reads.
  int64_t descriptor;
  // First byte.
  uint64_t offset;
  // Bytes.
  uint64_t length;
} HoldallFfiFile;

// How to use a stream.
typedef struct HoldallStreamTable {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // `READY` fills `out`, `END` fills `end`, `FAILED` and `PANICKED` fill `err`.
  HoldallStatus (*poll_next)(void *(*words)[5],
                             const struct HoldallFfiContext *cx,
                             struct HoldallFfiBytes *out,
                             struct HoldallFfiTrailers *end,
                             struct HoldallFfiError *err);
  // Ends it, at any moment.
  void (*drop)(void *(*words)[5]);
  // Since 1.1, optional, capability `read_into`: as `poll_next`, into memory of the caller, which is lent for the call.
  // `READY`: 1 to `room` bytes are there, `filled` says how many. `room` is never 0. Both may be called in turn.
  HoldallStatus (*poll_into)(void *(*words)[5],
                             const struct HoldallFfiContext *cx,
                             uint8_t *into,
                             size_t room,
                             size_t *filled,
                             struct HoldallFfiTrailers *end,
                             struct HoldallFfiError *err);
  // Since 1.1, optional, capability `lend_file`: the stream as a range of an open regular file, valid until `drop`. Asked
  // before the first poll, on any thread; never blocks. 1: `out` is filled, 0: there is none. No host asks on Windows.
  uint8_t (*file)(void *(*words)[5], struct HoldallFfiFile *out);
} HoldallStreamTable;

// An owned stream; small state lies in `words`, larger state behind them. Moved freely, polled by one thread at a time.
typedef struct HoldallFfiStream {
  // State of the maker.
  void *words[5];
  // How to use it.
  const struct HoldallStreamTable *table;
} HoldallFfiStream;

// One line of a log.
typedef struct HoldallFfiLogRecord {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // 1 error, 2 warn, 3 info, 4 debug, 5 trace.
  uint32_t level;
  // Line in `file`, 0 when unknown.
  uint32_t line;
  // Module path.
  struct HoldallFfiSlice target;
  // Text.
  struct HoldallFfiSlice message;
  // Source file, may be absent.
  struct HoldallFfiSlice file;
  // Structured fields.
  struct HoldallFfiPairs fields;
  // The operation, or null.
  const struct HoldallFfiCall *call;
} HoldallFfiLogRecord;

// What the host does for a plugin. Valid for the life of the process; callable from any thread.
typedef struct HoldallHostServices {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // First argument of every function here.
  const void *host;
  // 1: the plugin is linked in, so it shares globals with the program.
  uint64_t flags;
  // The most verbose level that is wanted.
  uint32_t (*log_level)(const void *host);
  // Logs; the record is borrowed for the call.
  void (*log)(const void *host, const struct HoldallFfiLogRecord *record);
  // Reports a panic that no caller sees: 1 in a drop, 2 in a task or thread.
  void (*fault)(const void *host, uint32_t kind, struct HoldallFfiSlice message);
  // A clock that never goes back, in nanoseconds.
  uint64_t (*monotonic_ns)(const void *host);
  // Wall clock, in nanoseconds since 1970.
  int64_t (*unix_ns)(const void *host);
  // Fills `out` with unpredictable bytes.
  void (*random)(const void *host, uint8_t *out, size_t len);
  // Since 1.1, optional.
  // A table by its name (text), or null: "holdall.NAME.1", "unstable.MAKER.NAME". Never blocks; valid for the life
  // of the process.
  const void *(*get_extension)(const void *host, struct HoldallFfiSlice name);
} HoldallHostServices;

// Opens a backend.
typedef struct HoldallOpenArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // JSON; valid only until `start` returns, so that the host can wipe it.
  struct HoldallFfiSlice config;
  // For logs.
  struct HoldallFfiSlice backend_name;
  // Valid for the life of the process.
  const struct HoldallHostServices *services;
  // The smaller minor of both sides.
  uint32_t effective_minor;
} HoldallOpenArgs;

// An opened backend.
typedef struct HoldallOpenOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // First argument of every operation.
  const void *backend;
  // The operations that this instance serves: the required ones and a subset of the descriptor's.
  uint64_t operations;
  // What this instance can do: a subset of the descriptor's.
  uint64_t capabilities;
  // Bytes; `u64::MAX` for none.
  uint64_t max_object_size;
  // Bytes of an upload under a condition (`create_only`, `if_match`); `u64::MAX` for none.
  uint64_t max_conditional_size;
  // Bytes; 0 for none.
  uint32_t max_key_bytes;
  // Bytes.
  uint32_t max_metadata_bytes;
  // Entries.
  uint32_t max_page;
  // Seconds; 0 for none.
  uint32_t max_sign_seconds;
  // Most memory of one stream, in bytes.
  uint64_t buffer_bytes;
  // How often the plugin repeats a request.
  uint32_t retries;
  // Milliseconds until a change is visible.
  uint32_t eventual_ms;
  // One line for status pages.
  struct HoldallFfiSlice description;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
  // Since 1.1: capabilities 64 to 127; a subset of the descriptor's.
  uint64_t capabilities_2;
  // Since 1.1: fewest bytes of a part but the last.
  uint64_t min_part_bytes;
  // Since 1.1: most bytes of a part; 0 for none.
  uint64_t max_part_bytes;
  // Since 1.1: most parts of an upload; 0 for 10 000.
  uint32_t max_parts;
  // Since 1.1: how long the store keeps an upload in parts; 0 without a limit.
  uint32_t max_upload_seconds;
} HoldallOpenOut;

// The rarer part of an upload.
typedef struct HoldallUploadOptionArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Absent: none.
  struct HoldallFfiSlice content_type;
  // Absent: none.
  struct HoldallFfiSlice cache_control;
  // Absent: none.
  struct HoldallFfiSlice content_disposition;
  // Absent: none.
  struct HoldallFfiSlice content_encoding;
  // Absent: none.
  struct HoldallFfiSlice content_language;
  // User metadata.
  struct HoldallFfiPairs metadata;
  // Absent: none.
  struct HoldallFfiSlice if_match;
  // 1: refuse to replace.
  uint8_t create_only;
  // 0 the backend's own, 1 none, 2 data, 3 full.
  uint8_t durability;
  // 1 crc32c, 2 md5, 4 sha256.
  uint32_t checksums_known;
  // The caller's digest.
  uint32_t crc32c;
  // The caller's digest.
  uint8_t md5[16];
  // The caller's digest.
  uint8_t sha256[32];
  // Since 1.1; absent: the store's default.
  struct HoldallFfiSlice storage_class;
  // Since 1.1.
  struct HoldallFfiPairs tags;
  // Since 1.1: 0 the store's default, 1 with keys of the store, 2 with the key `encryption_key_id`.
  uint32_t encryption;
  // Since 1.1; absent: none.
  struct HoldallFfiSlice encryption_key_id;
} HoldallUploadOptionArgs;

// Stores an object.
typedef struct HoldallUploadArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
  // Bytes; `u64::MAX` when unknown.
  uint64_t length;
  // Moved into the operation at start, whatever start returns.
  struct HoldallFfiStream body;
  // Null: none.
  const struct HoldallUploadOptionArgs *options;
} HoldallUploadArgs;

// An object was stored.
typedef struct HoldallUploadOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Its size.
  uint64_t bytes;
  // Absent: none.
  struct HoldallFfiSlice etag;
  // Absent: none.
  struct HoldallFfiSlice version;
  // Absent: none.
  struct HoldallFfiSlice url;
  // Since 1970; `i64::MIN` when unknown.
  int64_t last_modified_ns;
  // 1 crc32c, 2 md5, 4 sha256.
  uint32_t checksums_known;
  // CRC-32C.
  uint32_t crc32c;
  // MD5.
  uint8_t md5[16];
  // SHA-256.
  uint8_t sha256[32];
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallUploadOut;

// Conditions of a read.
typedef struct HoldallReadOptionArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Absent: none.
  struct HoldallFfiSlice if_match;
  // Absent: none.
  struct HoldallFfiSlice if_none_match;
  // Absent: the current one.
  struct HoldallFfiSlice version;
  // Since 1970; `i64::MIN` for none.
  int64_t if_modified_since_ns;
  // Since 1970; `i64::MIN` for none.
  int64_t if_unmodified_since_ns;
  // Since 1.1; 1: `ObjectOut.tags` is wanted.
  uint32_t with_tags;
} HoldallReadOptionArgs;

// Reads an object.
typedef struct HoldallDownloadArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
  // 0 all, 1 from `range_a` to `range_b`, 2 from `range_a` on, 3 the last `range_a`.
  uint32_t range_kind;
  // Bytes, 64 KiB to 1 MiB.
  uint32_t chunk_hint;
  // See `range_kind`.
  uint64_t range_a;
  // See `range_kind`.
  uint64_t range_b;
  // Null: none.
  const struct HoldallReadOptionArgs *options;
} HoldallDownloadArgs;

// Facts about an object.
typedef struct HoldallHeadArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
  // Null: none.
  const struct HoldallReadOptionArgs *options;
} HoldallHeadArgs;

// Facts about an object.
typedef struct HoldallObjectOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Its size.
  uint64_t bytes;
  // Absent: none.
  struct HoldallFfiSlice etag;
  // Absent: none.
  struct HoldallFfiSlice version;
  // Absent: none.
  struct HoldallFfiSlice url;
  // Absent: none.
  struct HoldallFfiSlice content_type;
  // Absent: none.
  struct HoldallFfiSlice cache_control;
  // Absent: none.
  struct HoldallFfiSlice content_disposition;
  // Absent: none.
  struct HoldallFfiSlice content_encoding;
  // Absent: none.
  struct HoldallFfiSlice content_language;
  // User metadata.
  struct HoldallFfiPairs metadata;
  // Since 1970; `i64::MIN` when unknown.
  int64_t last_modified_ns;
  // 1 crc32c, 2 md5, 4 sha256.
  uint32_t checksums_known;
  // CRC-32C.
  uint32_t crc32c;
  // MD5.
  uint8_t md5[16];
  // SHA-256.
  uint8_t sha256[32];
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
  // Since 1.1; absent: not told.
  struct HoldallFfiSlice storage_class;
  // Since 1.1; a null `ptr`: not told.
  struct HoldallFfiPairs tags;
  // Since 1.1: 0 not told, 1 with keys of the store, 2 with the key `encryption_key_id`.
  uint32_t encryption;
  // Since 1.1; absent: none.
  struct HoldallFfiSlice encryption_key_id;
} HoldallObjectOut;

// An object's bytes.
typedef struct HoldallDownloadOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Facts of the same version; owned by `owner`, its own `owner` is null.
  const struct HoldallObjectOut *object;
  // First byte of `body`.
  uint64_t range_start;
  // Byte after its last.
  uint64_t range_end;
  // Owned by the receiver.
  struct HoldallFfiStream body;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallDownloadOut;

// Removes an object.
typedef struct HoldallDeleteArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
  // Absent: none.
  struct HoldallFfiSlice if_match;
  // Absent: the current one.
  struct HoldallFfiSlice version;
  // 1: a missing one is an error.
  uint8_t must_exist;
} HoldallDeleteArgs;

// An object is gone.
typedef struct HoldallDeleteOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // 0 unknown, 1 no, 2 yes.
  uint32_t existed;
  // Absent: none.
  struct HoldallFfiSlice version;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
  // Since 1.1; 1: a delete marker was made, or removed.
  uint32_t marker;
} HoldallDeleteOut;

// Asks for an object.
typedef struct HoldallExistsArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
} HoldallExistsArgs;

// Whether it is there.
typedef struct HoldallExistsOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // 0 or 1.
  uint32_t exists;
} HoldallExistsOut;

// Signs a URL.
typedef struct HoldallSignArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // The object.
  struct HoldallFfiSlice key;
  // 1 GET, 2 PUT, 3 HEAD, 4 DELETE.
  uint32_t method;
  // Life of the URL.
  uint32_t expires_seconds;
  // PUT; absent: none.
  struct HoldallFfiSlice content_type;
  // PUT; `u64::MAX` for none.
  uint64_t max_size;
  // GET; absent: none.
  struct HoldallFfiSlice download_name;
  // GET; absent: none.
  struct HoldallFfiSlice response_content_type;
  // 1: a missing object is an error.
  uint8_t must_exist;
  // 1 crc32c, 2 md5, 4 sha256.
  uint32_t checksums_known;
  // PUT.
  uint32_t crc32c;
  // PUT.
  uint8_t md5[16];
  // PUT.
  uint8_t sha256[32];
} HoldallSignArgs;

// A signed URL.
typedef struct HoldallSignOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // 1: the host signs, the rest is empty.
  uint32_t at_gateway;
  // Percent-encoded.
  struct HoldallFfiSlice url;
  // What the request must carry.
  struct HoldallFfiPairs headers;
  // Since 1970.
  int64_t expires_at_ns;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallSignOut;

// A page of keys.
typedef struct HoldallListArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // May be empty.
  struct HoldallFfiSlice prefix;
  // Absent: none.
  struct HoldallFfiSlice delimiter;
  // Absent: first page.
  struct HoldallFfiSlice page_token;
  // Absent: from the start.
  struct HoldallFfiSlice start_after;
  // 1 to 1000.
  uint32_t limit;
} HoldallListArgs;

// One object of a listing.
typedef struct HoldallFfiEntry {
  // Its name.
  struct HoldallFfiSlice key;
  // Its size.
  uint64_t bytes;
  // Absent: none.
  struct HoldallFfiSlice etag;
  // Since 1970; `i64::MIN` when unknown.
  int64_t last_modified_ns;
} HoldallFfiEntry;

// A page of a listing.
typedef struct HoldallListOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Objects, each `entry_size` bytes after the one before.
  const struct HoldallFfiEntry *entries;
  // Objects.
  size_t entry_count;
  // Bytes of an entry.
  size_t entry_size;
  // Common prefixes.
  const struct HoldallFfiSlice *prefixes;
  // Common prefixes.
  size_t prefix_count;
  // Absent: the listing ends.
  struct HoldallFfiSlice next;
  // Objects left out because of their names.
  uint64_t skipped;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallListOut;

// Copies an object.
typedef struct HoldallCopyArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Source.
  struct HoldallFfiSlice from;
  // Target.
  struct HoldallFfiSlice to;
  // 1: refuse to replace.
  uint8_t create_only;
  // Since 1.1: of the target; absent: none.
  struct HoldallFfiSlice if_match;
  // Since 1.1; absent: none.
  struct HoldallFfiSlice source_if_match;
  // Since 1.1; absent: none.
  struct HoldallFfiSlice source_if_none_match;
  // Since 1.1; absent: the current one.
  struct HoldallFfiSlice source_version;
  // Since 1.1: what replaces type, headers, metadata and the rest of the source; null: they are kept.
  const struct HoldallUploadOptionArgs *options;
} HoldallCopyArgs;

// A copy was made.
typedef struct HoldallCopyOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Size of the target; `u64::MAX` when unknown.
  uint64_t bytes;
  // Absent: none.
  struct HoldallFfiSlice etag;
  // Since 1970; `i64::MIN` when unknown.
  int64_t last_modified_ns;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
  // Since 1.1; absent: none.
  struct HoldallFfiSlice version;
  // Since 1.1; absent: none.
  struct HoldallFfiSlice source_version;
} HoldallCopyOut;

// Renames an object.
typedef struct HoldallRenameArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Source.
  struct HoldallFfiSlice from;
  // Target.
  struct HoldallFfiSlice to;
} HoldallRenameArgs;

// An object has another name.
typedef struct HoldallRenameOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // 1: in one step.
  uint32_t atomic;
  // Absent: none.
  struct HoldallFfiSlice etag;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallRenameOut;

// Removes many objects.
typedef struct HoldallDeleteManyArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Their names.
  const struct HoldallFfiSlice *keys;
  // Names.
  size_t key_count;
  // Since 1.1: a version for each key, absent for the current one; null: none.
  const struct HoldallFfiSlice *versions;
} HoldallDeleteManyArgs;

// What became of one of them.
typedef struct HoldallFfiDeleteResult {
  // 0 unknown, 1 no, 2 yes.
  uint32_t existed;
  // 1: `error` is filled.
  uint32_t failed;
  // Owned by the answer, its own `owner` is null.
  const struct HoldallFfiError *error;
  // Since 1.1; absent: none.
  struct HoldallFfiSlice version;
  // Since 1.1; 1: a delete marker was made, or removed.
  uint32_t marker;
} HoldallFfiDeleteResult;

// One result for each key, in order.
typedef struct HoldallDeleteManyOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Results, each `result_size` bytes after the one before.
  const struct HoldallFfiDeleteResult *results;
  // Results.
  size_t result_count;
  // Bytes of a result.
  size_t result_size;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallDeleteManyOut;

// No arguments.
typedef struct HoldallEmptyArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Zero.
  uint64_t reserved;
} HoldallEmptyArgs;

// State of a store.
typedef struct HoldallHealthOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // 0 or 1.
  uint32_t healthy;
  // One line.
  struct HoldallFfiSlice message;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallHealthOut;

// Space of a store, in bytes.
typedef struct HoldallUsageOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // `u64::MAX` when unknown.
  uint64_t used;
  // `u64::MAX` when unknown.
  uint64_t free;
  // `u64::MAX` when unknown.
  uint64_t total;
  // `u64::MAX` when unknown.
  uint64_t objects;
} HoldallUsageOut;

// No answer but success.
typedef struct HoldallEmptyOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Zero.
  uint64_t reserved;
} HoldallEmptyOut;

// A vendor's own call.
typedef struct HoldallCustomArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice name;
  // Moved into the operation at start, whatever start returns.
  struct HoldallFfiBytes payload;
} HoldallCustomArgs;

// Answer of a vendor's own call.
typedef struct HoldallCustomOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Owned by the receiver.
  struct HoldallFfiBytes payload;
} HoldallCustomOut;

// One link of a chain; what follows depends on its kind. An unknown kind is skipped.
typedef struct HoldallFfiExtension {
  // Below 0x80000000: assigned by the ABI; the others are free for experiments.
  uint32_t kind;
  // Bytes of this link: at least 16, a multiple of 8.
  uint32_t size;
  // The next link, or null; at most 64 are read.
  const void *next;
} HoldallFfiExtension;

// Link of kind 1 in `OpenArgs`: who loads.
typedef struct HoldallFfiHostAbout {
  // 1.
  uint32_t kind;
  // 48.
  uint32_t size;
  // The next link, or null.
  const void *next;
  // Of the host library.
  struct HoldallFfiSlice name;
  // Of the host library.
  struct HoldallFfiSlice version;
} HoldallFfiHostAbout;

// Begins an upload in parts.
typedef struct HoldallCreateUploadArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
  // Null: none. No condition and no checksum: they come when the upload is completed.
  const struct HoldallUploadOptionArgs *options;
} HoldallCreateUploadArgs;

// An upload in parts was begun.
typedef struct HoldallCreateUploadOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Names it, also in another process.
  struct HoldallFfiSlice upload_id;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallCreateUploadOut;

// Stores a part. One of the same number is replaced.
typedef struct HoldallPutPartArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
  // What `create_upload` answered.
  struct HoldallFfiSlice upload_id;
  // 1 to 10 000.
  uint32_t number;
  // 1 crc32c, 2 md5, 4 sha256.
  uint32_t checksums_known;
  // CRC-32C.
  uint32_t crc32c;
  // MD5.
  uint8_t md5[16];
  // SHA-256.
  uint8_t sha256[32];
  // Bytes; `u64::MAX` when unknown.
  uint64_t length;
  // Moved into the operation at start, whatever start returns.
  struct HoldallFfiStream body;
} HoldallPutPartArgs;

// A part was stored.
typedef struct HoldallPutPartOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Its size.
  uint64_t bytes;
  // Names these bytes when the upload is completed.
  struct HoldallFfiSlice etag;
  // 1 crc32c, 2 md5, 4 sha256.
  uint32_t checksums_known;
  // CRC-32C.
  uint32_t crc32c;
  // MD5.
  uint8_t md5[16];
  // SHA-256.
  uint8_t sha256[32];
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallPutPartOut;

// One part of an upload.
typedef struct HoldallFfiPart {
  // 1 to 10 000.
  uint32_t number;
  // 1 crc32c.
  uint32_t checksums_known;
  // Its size.
  uint64_t bytes;
  // As `put_part` answered it.
  struct HoldallFfiSlice etag;
  // Since 1970; `i64::MIN` when unknown.
  int64_t last_modified_ns;
  // CRC-32C.
  uint32_t crc32c;
} HoldallFfiPart;

// A page of the parts of an upload, by number.
typedef struct HoldallListPartsArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
  // What `create_upload` answered.
  struct HoldallFfiSlice upload_id;
  // Absent: first page.
  struct HoldallFfiSlice page_token;
  // 1 to 1000.
  uint32_t limit;
} HoldallListPartsArgs;

// A page of parts.
typedef struct HoldallListPartsOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Parts, each `part_size` bytes after the one before.
  const struct HoldallFfiPart *parts;
  // Parts.
  size_t part_count;
  // Bytes of a part's item.
  size_t part_size;
  // Absent: the listing ends.
  struct HoldallFfiSlice next;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallListPartsOut;

// One upload in parts that is neither completed nor aborted.
typedef struct HoldallFfiUpload {
  // The object.
  struct HoldallFfiSlice key;
  // Names it.
  struct HoldallFfiSlice upload_id;
  // Since 1970; `i64::MIN` when unknown.
  int64_t created_ns;
} HoldallFfiUpload;

// A page of uploads in parts, by key.
typedef struct HoldallListUploadsArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // May be empty.
  struct HoldallFfiSlice prefix;
  // Absent: first page.
  struct HoldallFfiSlice page_token;
  // 1 to 1000.
  uint32_t limit;
} HoldallListUploadsArgs;

// A page of uploads in parts.
typedef struct HoldallListUploadsOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Uploads, each `upload_size` bytes after the one before.
  const struct HoldallFfiUpload *uploads;
  // Uploads.
  size_t upload_count;
  // Bytes of an upload's item.
  size_t upload_size;
  // Absent: the listing ends.
  struct HoldallFfiSlice next;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallListUploadsOut;

// A part that belongs to the object.
typedef struct HoldallFfiPartRef {
  // 1 to 10 000.
  uint32_t number;
  // As `put_part` answered it.
  struct HoldallFfiSlice etag;
} HoldallFfiPartRef;

// Makes the object of its parts, in the order of their numbers.
typedef struct HoldallCompleteUploadArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
  // What `create_upload` answered.
  struct HoldallFfiSlice upload_id;
  // Parts, each `part_size` bytes after the one before; numbers ascend.
  const struct HoldallFfiPartRef *parts;
  // Parts.
  size_t part_count;
  // Bytes of a part's item.
  size_t part_size;
  // Absent: none.
  struct HoldallFfiSlice if_match;
  // 1: refuse to replace.
  uint8_t create_only;
  // 1 crc32c, 2 md5, 4 sha256.
  uint32_t checksums_known;
  // CRC-32C.
  uint32_t crc32c;
  // MD5.
  uint8_t md5[16];
  // SHA-256.
  uint8_t sha256[32];
} HoldallCompleteUploadArgs;

// Ends an upload in parts without an object.
typedef struct HoldallAbortUploadArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
  // What `create_upload` answered.
  struct HoldallFfiSlice upload_id;
} HoldallAbortUploadArgs;

// Bytes of an object.
typedef struct HoldallFfiRange {
  // First byte.
  uint64_t start;
  // Byte after the last.
  uint64_t end;
} HoldallFfiRange;

// Memory of the caller for one range.
typedef struct HoldallFfiBuffer {
  // First byte.
  uint8_t *ptr;
  // Bytes.
  size_t len;
} HoldallFfiBuffer;

// One range is complete.
typedef struct HoldallFfiRangeDone {
  // Of the range in the request.
  size_t index;
} HoldallFfiRangeDone;

// How to use a reader of many ranges.
typedef struct HoldallRangeStreamTable {
  // Bytes of this table that its maker knows.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // One buffer for each range, as long as the range, the same in every call and lent until `drop` has returned. `READY`:
  // 1 to `done_room` ranges have become complete, `done_count` says how many. `END`: all are. `FAILED`, `PANICKED`: `err`.
  HoldallStatus (*poll_into)(void *(*words)[5],
                             const struct HoldallFfiContext *cx,
                             const struct HoldallFfiBuffer *buffers,
                             size_t buffer_count,
                             struct HoldallFfiRangeDone *done,
                             size_t done_room,
                             size_t *done_count,
                             struct HoldallFfiError *err);
  // Ends it, at any moment. It returns when nothing writes into the buffers any more.
  void (*drop)(void *(*words)[5]);
} HoldallRangeStreamTable;

// An owned reader of many ranges. Moved freely, polled by one thread at a time.
typedef struct HoldallFfiRangeStream {
  // State of the maker.
  void *words[5];
  // How to use it.
  const struct HoldallRangeStreamTable *table;
} HoldallFfiRangeStream;

// Reads many ranges of one version of an object.
typedef struct HoldallRangesArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
  // Ranges; none is empty.
  const struct HoldallFfiRange *ranges;
  // Ranges, 1 to 4096.
  size_t range_count;
  // Ranges with at most that many bytes between them may be read as one; `u64::MAX`: as the plugin likes.
  uint64_t coalesce_bytes;
  // Null: none.
  const struct HoldallReadOptionArgs *options;
} HoldallRangesArgs;

// The ranges of an object.
typedef struct HoldallRangesOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Facts of the version that is read; owned by `owner`, its own `owner` is null.
  const struct HoldallObjectOut *object;
  // Owned by the receiver.
  struct HoldallFfiRangeStream stream;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallRangesOut;

// One version of an object.
typedef struct HoldallFfiVersion {
  // Its name.
  struct HoldallFfiSlice key;
  // Names the version.
  struct HoldallFfiSlice version;
  // Its size, 0 for a delete marker.
  uint64_t bytes;
  // Absent: none.
  struct HoldallFfiSlice etag;
  // Since 1970; `i64::MIN` when unknown.
  int64_t last_modified_ns;
  // 1: the current one; 2: a delete marker.
  uint32_t flags;
} HoldallFfiVersion;

// A page of versions: by key, then from the newest to the oldest.
typedef struct HoldallListVersionsArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // May be empty.
  struct HoldallFfiSlice prefix;
  // Absent: none.
  struct HoldallFfiSlice delimiter;
  // Absent: first page.
  struct HoldallFfiSlice page_token;
  // 1 to 1000.
  uint32_t limit;
} HoldallListVersionsArgs;

// A page of versions.
typedef struct HoldallListVersionsOut {
  // Bytes that the caller has room for; then, bytes that were filled.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Versions, each `version_size` bytes after the one before.
  const struct HoldallFfiVersion *versions;
  // Versions.
  size_t version_count;
  // Bytes of a version's item.
  size_t version_size;
  // Common prefixes.
  const struct HoldallFfiSlice *prefixes;
  // Common prefixes.
  size_t prefix_count;
  // Absent: the listing ends.
  struct HoldallFfiSlice next;
  // Owns every text of this answer; null when nothing is owned.
  void *owner;
  // Frees `owner`; called once, as soon as the texts are copied.
  void (*release)(void *owner);
} HoldallListVersionsOut;

// Replaces what is kept beside the bytes of an object.
typedef struct HoldallUpdateArgs {
  // Bytes of this table that its maker knows.
  size_t size;
  // A chain of `FfiExtension`, or null.
  const void *extension;
  // Its name.
  struct HoldallFfiSlice key;
  // Absent: none.
  struct HoldallFfiSlice if_match;
  // Absent: the current one.
  struct HoldallFfiSlice version;
  // What of `options` replaces what is there: 1 content type, 2 cache control, 4 disposition, 8 encoding, 16 language,
  // 32 metadata, 64 tags, 128 storage class.
  uint32_t mask;
  // An absent text removes what was there.
  const struct HoldallUploadOptionArgs *options;
} HoldallUpdateArgs;

// Operations of a backend: the five required ones, then the optional ones, null where absent.
typedef struct HoldallBackendTable {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // Ends an opened backend; called once, after its last operation.
  void (*drop)(const void *backend);
  // Required.
  HoldallStatus (*start_upload)(const void *backend,
                                const struct HoldallUploadArgs *args,
                                void *storage,
                                const struct HoldallFfiContext *cx,
                                struct HoldallUploadOut *out,
                                struct HoldallFfiError *err,
                                struct HoldallFfiFuture *fut);
  // Required.
  HoldallStatus (*start_download)(const void *backend,
                                  const struct HoldallDownloadArgs *args,
                                  void *storage,
                                  const struct HoldallFfiContext *cx,
                                  struct HoldallDownloadOut *out,
                                  struct HoldallFfiError *err,
                                  struct HoldallFfiFuture *fut);
  // Required.
  HoldallStatus (*start_delete)(const void *backend,
                                const struct HoldallDeleteArgs *args,
                                void *storage,
                                const struct HoldallFfiContext *cx,
                                struct HoldallDeleteOut *out,
                                struct HoldallFfiError *err,
                                struct HoldallFfiFuture *fut);
  // Required.
  HoldallStatus (*start_exists)(const void *backend,
                                const struct HoldallExistsArgs *args,
                                void *storage,
                                const struct HoldallFfiContext *cx,
                                struct HoldallExistsOut *out,
                                struct HoldallFfiError *err,
                                struct HoldallFfiFuture *fut);
  // Required.
  HoldallStatus (*start_signed_url)(const void *backend,
                                    const struct HoldallSignArgs *args,
                                    void *storage,
                                    const struct HoldallFfiContext *cx,
                                    struct HoldallSignOut *out,
                                    struct HoldallFfiError *err,
                                    struct HoldallFfiFuture *fut);
  // Optional.
  HoldallStatus (*start_head)(const void *backend,
                              const struct HoldallHeadArgs *args,
                              void *storage,
                              const struct HoldallFfiContext *cx,
                              struct HoldallObjectOut *out,
                              struct HoldallFfiError *err,
                              struct HoldallFfiFuture *fut);
  // Optional.
  HoldallStatus (*start_list)(const void *backend,
                              const struct HoldallListArgs *args,
                              void *storage,
                              const struct HoldallFfiContext *cx,
                              struct HoldallListOut *out,
                              struct HoldallFfiError *err,
                              struct HoldallFfiFuture *fut);
  // Optional.
  HoldallStatus (*start_copy)(const void *backend,
                              const struct HoldallCopyArgs *args,
                              void *storage,
                              const struct HoldallFfiContext *cx,
                              struct HoldallCopyOut *out,
                              struct HoldallFfiError *err,
                              struct HoldallFfiFuture *fut);
  // Optional.
  HoldallStatus (*start_rename)(const void *backend,
                                const struct HoldallRenameArgs *args,
                                void *storage,
                                const struct HoldallFfiContext *cx,
                                struct HoldallRenameOut *out,
                                struct HoldallFfiError *err,
                                struct HoldallFfiFuture *fut);
  // Optional.
  HoldallStatus (*start_delete_many)(const void *backend,
                                     const struct HoldallDeleteManyArgs *args,
                                     void *storage,
                                     const struct HoldallFfiContext *cx,
                                     struct HoldallDeleteManyOut *out,
                                     struct HoldallFfiError *err,
                                     struct HoldallFfiFuture *fut);
  // Optional.
  HoldallStatus (*start_health)(const void *backend,
                                const struct HoldallEmptyArgs *args,
                                void *storage,
                                const struct HoldallFfiContext *cx,
                                struct HoldallHealthOut *out,
                                struct HoldallFfiError *err,
                                struct HoldallFfiFuture *fut);
  // Optional.
  HoldallStatus (*start_usage)(const void *backend,
                               const struct HoldallEmptyArgs *args,
                               void *storage,
                               const struct HoldallFfiContext *cx,
                               struct HoldallUsageOut *out,
                               struct HoldallFfiError *err,
                               struct HoldallFfiFuture *fut);
  // Optional.
  HoldallStatus (*start_shutdown)(const void *backend,
                                  const struct HoldallEmptyArgs *args,
                                  void *storage,
                                  const struct HoldallFfiContext *cx,
                                  struct HoldallEmptyOut *out,
                                  struct HoldallFfiError *err,
                                  struct HoldallFfiFuture *fut);
  // Optional.
  HoldallStatus (*start_custom)(const void *backend,
                                const struct HoldallCustomArgs *args,
                                void *storage,
                                const struct HoldallFfiContext *cx,
                                struct HoldallCustomOut *out,
                                struct HoldallFfiError *err,
                                struct HoldallFfiFuture *fut);
  // Since 1.1, optional.
  HoldallStatus (*start_create_upload)(const void *backend,
                                       const struct HoldallCreateUploadArgs *args,
                                       void *storage,
                                       const struct HoldallFfiContext *cx,
                                       struct HoldallCreateUploadOut *out,
                                       struct HoldallFfiError *err,
                                       struct HoldallFfiFuture *fut);
  // Since 1.1, optional.
  HoldallStatus (*start_put_part)(const void *backend,
                                  const struct HoldallPutPartArgs *args,
                                  void *storage,
                                  const struct HoldallFfiContext *cx,
                                  struct HoldallPutPartOut *out,
                                  struct HoldallFfiError *err,
                                  struct HoldallFfiFuture *fut);
  // Since 1.1, optional.
  HoldallStatus (*start_list_parts)(const void *backend,
                                    const struct HoldallListPartsArgs *args,
                                    void *storage,
                                    const struct HoldallFfiContext *cx,
                                    struct HoldallListPartsOut *out,
                                    struct HoldallFfiError *err,
                                    struct HoldallFfiFuture *fut);
  // Since 1.1, optional.
  HoldallStatus (*start_list_uploads)(const void *backend,
                                      const struct HoldallListUploadsArgs *args,
                                      void *storage,
                                      const struct HoldallFfiContext *cx,
                                      struct HoldallListUploadsOut *out,
                                      struct HoldallFfiError *err,
                                      struct HoldallFfiFuture *fut);
  // Since 1.1, optional.
  HoldallStatus (*start_complete_upload)(const void *backend,
                                         const struct HoldallCompleteUploadArgs *args,
                                         void *storage,
                                         const struct HoldallFfiContext *cx,
                                         struct HoldallUploadOut *out,
                                         struct HoldallFfiError *err,
                                         struct HoldallFfiFuture *fut);
  // Since 1.1, optional.
  HoldallStatus (*start_abort_upload)(const void *backend,
                                      const struct HoldallAbortUploadArgs *args,
                                      void *storage,
                                      const struct HoldallFfiContext *cx,
                                      struct HoldallEmptyOut *out,
                                      struct HoldallFfiError *err,
                                      struct HoldallFfiFuture *fut);
  // Since 1.1, optional.
  HoldallStatus (*start_download_ranges)(const void *backend,
                                         const struct HoldallRangesArgs *args,
                                         void *storage,
                                         const struct HoldallFfiContext *cx,
                                         struct HoldallRangesOut *out,
                                         struct HoldallFfiError *err,
                                         struct HoldallFfiFuture *fut);
  // Since 1.1, optional.
  HoldallStatus (*start_list_versions)(const void *backend,
                                       const struct HoldallListVersionsArgs *args,
                                       void *storage,
                                       const struct HoldallFfiContext *cx,
                                       struct HoldallListVersionsOut *out,
                                       struct HoldallFfiError *err,
                                       struct HoldallFfiFuture *fut);
  // Since 1.1, optional.
  HoldallStatus (*start_update)(const void *backend,
                                const struct HoldallUpdateArgs *args,
                                void *storage,
                                const struct HoldallFfiContext *cx,
                                struct HoldallObjectOut *out,
                                struct HoldallFfiError *err,
                                struct HoldallFfiFuture *fut);
} HoldallBackendTable;

// What the entry symbol returns. Valid for the life of the process.
typedef struct HoldallPluginTable {
  // Bytes of this table that its maker knows.
  size_t size;
  // Reserved, null.
  const void *extension;
  // As in the descriptor.
  uint32_t abi_major;
  // As in the descriptor.
  uint32_t abi_minor;
  // The bytes of the section, without padding.
  struct HoldallFfiSlice descriptor;
  // Layout description of these tables for plugins in Rust; null otherwise.
  const void *rust_layout;
  // Opens a backend; `backend` is null.
  HoldallStatus (*open)(const void *backend,
                        const struct HoldallOpenArgs *args,
                        void *storage,
                        const struct HoldallFfiContext *cx,
                        struct HoldallOpenOut *out,
                        struct HoldallFfiError *err,
                        struct HoldallFfiFuture *fut);
  // Operations of every backend that `open` returns.
  const struct HoldallBackendTable *ops;
  // Since 1.1, optional.
  // A table by its name (text), or null: "holdall.NAME.1", "unstable.MAKER.NAME". Never blocks; valid for the life
  // of the process.
  const void *(*get_extension)(struct HoldallFfiSlice name);
} HoldallPluginTable;


// The descriptor: `HoldallHeader`, the fingerprints, then the JSON, in this section.
#ifdef __APPLE__
#define HOLDALL_SECTION "__DATA,__holdall" // Mach-O
#else
#define HOLDALL_SECTION ".holdall" // ELF and PE
#endif
#define HOLDALL_ENTRY_PREFIX "holdall_plugin_v1_"
#define HOLDALL_DESCRIPTOR_VERSION 1
#define HOLDALL_ABI_MAJOR 1
#define HOLDALL_ABI_MINOR 1

// A plugin whose descriptor has HOLDALL_FLAG_BLOCKING may block in every function but a `release`:
// the host calls it from threads of its own pool. The streams that the host gives to such a plugin
// block too: their `poll_next` never answers HOLDALL_PENDING, so no waker is needed. When the caller
// of an operation has gone, they fail, and `HoldallFfiCall.cancelled` is set.

// Flags.
#define HOLDALL_FLAG_DRAFT 1u
#define HOLDALL_FLAG_PANIC_UNWIND 2u
#define HOLDALL_FLAG_BLOCKING 4u
#define HOLDALL_FLAG_RUNTIME_TOKIO 8u
#define HOLDALL_FLAG_RUNTIME_TOKIO_SPAWN 16u
#define HOLDALL_FLAG_RUST 32u
#define HOLDALL_FLAG_DRAFT_MINOR 64u
// The flags that come with this version of the ABI: in every descriptor.
#define HOLDALL_ABI_FLAGS HOLDALL_FLAG_DRAFT_MINOR

typedef struct HoldallHeader {
  uint8_t magic[8]; // "HOLDALL\0"
  uint16_t descriptor_version;
  uint16_t abi_major;
  uint16_t abi_minor;
  uint16_t min_host_minor;
  uint32_t flags;
  uint32_t fingerprint_count;
  uint64_t operations;
  uint64_t capabilities;
  uint64_t json_len;
  uint32_t max_in_flight; // 0: any number; 1: never two threads inside, but in a `release`
  uint32_t reserved;
  uint64_t capabilities_2; // since 1.1: HOLDALL_CAP2_...
  uint8_t reserved_2[64];
} HoldallHeader;

// Operations: the first five are required.
// Stores an object. Required.
#define HOLDALL_OP_UPLOAD (UINT64_C(1) << 0)
// Reads an object. Required.
#define HOLDALL_OP_DOWNLOAD (UINT64_C(1) << 1)
// Removes an object. Required.
#define HOLDALL_OP_DELETE (UINT64_C(1) << 2)
// Tells whether an object is there. Required.
#define HOLDALL_OP_EXISTS (UINT64_C(1) << 3)
// Makes a URL that works without credentials. Required.
#define HOLDALL_OP_SIGNED_URL (UINT64_C(1) << 4)
// Facts about an object.
#define HOLDALL_OP_HEAD (UINT64_C(1) << 5)
// A page of keys.
#define HOLDALL_OP_LIST (UINT64_C(1) << 6)
// Copies inside the store.
#define HOLDALL_OP_COPY (UINT64_C(1) << 7)
// Renames inside the store.
#define HOLDALL_OP_RENAME (UINT64_C(1) << 8)
// Deletes many keys in one request.
#define HOLDALL_OP_DELETE_MANY (UINT64_C(1) << 9)
// Cheap check that the store answers.
#define HOLDALL_OP_HEALTH (UINT64_C(1) << 10)
// Space used and free.
#define HOLDALL_OP_USAGE (UINT64_C(1) << 11)
// Ends the instance.
#define HOLDALL_OP_SHUTDOWN (UINT64_C(1) << 12)
// A vendor's own call.
#define HOLDALL_OP_CUSTOM (UINT64_C(1) << 13)
// Begins an upload in parts. Since 1.1.
#define HOLDALL_OP_CREATE_UPLOAD (UINT64_C(1) << 14)
// Stores a part. Since 1.1.
#define HOLDALL_OP_PUT_PART (UINT64_C(1) << 15)
// A page of the parts of an upload. Since 1.1.
#define HOLDALL_OP_LIST_PARTS (UINT64_C(1) << 16)
// A page of uploads in parts. Since 1.1.
#define HOLDALL_OP_LIST_UPLOADS (UINT64_C(1) << 17)
// Completes an upload in parts: makes the object. Since 1.1.
#define HOLDALL_OP_COMPLETE_UPLOAD (UINT64_C(1) << 18)
// Ends an upload in parts without an object. Since 1.1.
#define HOLDALL_OP_ABORT_UPLOAD (UINT64_C(1) << 19)
// Reads many ranges of one version of an object. Since 1.1.
#define HOLDALL_OP_DOWNLOAD_RANGES (UINT64_C(1) << 20)
// A page of versions. Since 1.1.
#define HOLDALL_OP_LIST_VERSIONS (UINT64_C(1) << 21)
// Replaces headers, metadata and tags without the bytes. Since 1.1.
#define HOLDALL_OP_UPDATE (UINT64_C(1) << 22)

// Capabilities: promises. What is not claimed is refused by the host and never arrives. Those of the second word
// (HOLDALL_CAP2_...) go into `capabilities_2`.
// A reader never sees a partial object. The host refuses to route to a backend without it unless the configuration says so.
#define HOLDALL_CAP_ATOMIC_PUT (UINT64_C(1) << 0)
// `create_only` uploads, exact under a race.
#define HOLDALL_CAP_CREATE_ONLY (UINT64_C(1) << 1)
// Uploads with `if_match`.
#define HOLDALL_CAP_IF_MATCH_PUT (UINT64_C(1) << 2)
// Deletes with `if_match`.
#define HOLDALL_CAP_IF_MATCH_DELETE (UINT64_C(1) << 3)
// Reads with `if_match`.
#define HOLDALL_CAP_IF_MATCH_GET (UINT64_C(1) << 4)
// Reads with `if_none_match`.
#define HOLDALL_CAP_IF_NONE_MATCH_GET (UINT64_C(1) << 5)
// Reads with `if_modified_since` and `if_unmodified_since`.
#define HOLDALL_CAP_IF_TIME (UINT64_C(1) << 6)
// The range "last n bytes".
#define HOLDALL_CAP_SUFFIX (UINT64_C(1) << 7)
// Uploads whose length is not known; without it the host spools.
#define HOLDALL_CAP_UNKNOWN_LENGTH (UINT64_C(1) << 8)
// The content type is kept and returned exactly.
#define HOLDALL_CAP_CONTENT_TYPE (UINT64_C(1) << 9)
// User metadata is kept, published in one step with the data.
#define HOLDALL_CAP_USER_METADATA (UINT64_C(1) << 10)
// `Cache-Control` is kept.
#define HOLDALL_CAP_HEADER_CACHE_CONTROL (UINT64_C(1) << 11)
// `Content-Disposition` is kept.
#define HOLDALL_CAP_HEADER_CONTENT_DISPOSITION (UINT64_C(1) << 12)
// `Content-Encoding` is kept.
#define HOLDALL_CAP_HEADER_CONTENT_ENCODING (UINT64_C(1) << 13)
// `Content-Language` is kept.
#define HOLDALL_CAP_HEADER_CONTENT_LANGUAGE (UINT64_C(1) << 14)
// CRC-32C is stored and returned.
#define HOLDALL_CAP_CHECKSUM_CRC32C (UINT64_C(1) << 15)
// SHA-256 is stored and returned.
#define HOLDALL_CAP_CHECKSUM_SHA256 (UINT64_C(1) << 16)
// MD5 is stored and returned.
#define HOLDALL_CAP_CHECKSUM_MD5 (UINT64_C(1) << 17)
// Copies without moving the bytes through the plugin.
#define HOLDALL_CAP_SERVER_COPY (UINT64_C(1) << 18)
// Copies with `create_only`.
#define HOLDALL_CAP_COPY_CREATE_ONLY (UINT64_C(1) << 19)
// Renames in one step.
#define HOLDALL_CAP_ATOMIC_MOVE (UINT64_C(1) << 20)
// Listings come in byte order of the keys.
#define HOLDALL_CAP_ORDERED_LIST (UINT64_C(1) << 21)
// Listings may begin after a key.
#define HOLDALL_CAP_START_AFTER (UINT64_C(1) << 22)
// Listings take a delimiter other than `/`.
#define HOLDALL_CAP_ANY_DELIMITER (UINT64_C(1) << 23)
// Keys outside the portable policy are possible.
#define HOLDALL_CAP_ANY_KEY (UINT64_C(1) << 24)
// `a` and `a/b` may exist together.
#define HOLDALL_CAP_KEY_AND_PREFIX (UINT64_C(1) << 25)
// `File` and `file` are two keys.
#define HOLDALL_CAP_CASE_SENSITIVE (UINT64_C(1) << 26)
// Two spellings of one character in Unicode (NFC, NFD) are two keys.
#define HOLDALL_CAP_UNICODE_EXACT (UINT64_C(1) << 27)
// Signs GET natively.
#define HOLDALL_CAP_SIGN_GET (UINT64_C(1) << 28)
// Signs PUT natively.
#define HOLDALL_CAP_SIGN_PUT (UINT64_C(1) << 29)
// Signs HEAD natively.
#define HOLDALL_CAP_SIGN_HEAD (UINT64_C(1) << 30)
// Signs DELETE natively.
#define HOLDALL_CAP_SIGN_DELETE (UINT64_C(1) << 31)
// A signed PUT binds the content type.
#define HOLDALL_CAP_SIGN_CONTENT_TYPE (UINT64_C(1) << 32)
// A signed PUT binds the largest size.
#define HOLDALL_CAP_SIGN_MAX_SIZE (UINT64_C(1) << 33)
// A signed PUT binds a checksum.
#define HOLDALL_CAP_SIGN_CHECKSUM (UINT64_C(1) << 34)
// A signed GET overrides name and content type of the answer.
#define HOLDALL_CAP_SIGN_DISPOSITION (UINT64_C(1) << 35)
// Reports space.
#define HOLDALL_CAP_USAGE (UINT64_C(1) << 36)
// Objects have a URL that needs no signature.
#define HOLDALL_CAP_PUBLIC_URL (UINT64_C(1) << 37)
// Reads, heads and deletes by version.
#define HOLDALL_CAP_VERSIONS (UINT64_C(1) << 38)
// Has calls of its own.
#define HOLDALL_CAP_CUSTOM (UINT64_C(1) << 39)
// `delete` with `must_exist` is decided in the store, without a window.
#define HOLDALL_CAP_EXACT_DELETE (UINT64_C(1) << 40)
// A change may become visible late (by `eventual_ms` at most).
#define HOLDALL_CAP_EVENTUAL (UINT64_C(1) << 41)
// Uploads may ask how durable they are when they answer.
#define HOLDALL_CAP_DURABILITY (UINT64_C(1) << 42)
// Uploads in parts, with all six operations. Since 1.1, as all that follow.
#define HOLDALL_CAP2_PARTS (UINT64_C(1) << 0)
// Parts of any size. Without it every part but the last has at least `min_part_bytes`.
#define HOLDALL_CAP2_PARTS_ANY_SIZE (UINT64_C(1) << 1)
// Reads many ranges of one version in one operation.
#define HOLDALL_CAP2_RANGES (UINT64_C(1) << 2)
// Downloads are written into memory of the caller.
#define HOLDALL_CAP2_READ_INTO (UINT64_C(1) << 3)
// A download may give its bytes as a range of an open file.
#define HOLDALL_CAP2_LEND_FILE (UINT64_C(1) << 4)
// Copies with `if_match`: a condition on the etag of the target.
#define HOLDALL_CAP2_COPY_IF_MATCH (UINT64_C(1) << 5)
// Copies with conditions on the etag of the source.
#define HOLDALL_CAP2_COPY_SOURCE_CONDITIONS (UINT64_C(1) << 6)
// Copies a named version of the source.
#define HOLDALL_CAP2_COPY_SOURCE_VERSION (UINT64_C(1) << 7)
// A copy replaces content type, headers, metadata, tags and storage class.
#define HOLDALL_CAP2_COPY_REPLACE_METADATA (UINT64_C(1) << 8)
// Lists versions.
#define HOLDALL_CAP2_LIST_VERSIONS (UINT64_C(1) << 9)
// `delete_many` takes a version for each key.
#define HOLDALL_CAP2_DELETE_MANY_VERSIONS (UINT64_C(1) << 10)
// `update` replaces content type and headers.
#define HOLDALL_CAP2_UPDATE_HEADERS (UINT64_C(1) << 11)
// `update` replaces user metadata.
#define HOLDALL_CAP2_UPDATE_METADATA (UINT64_C(1) << 12)
// `update` replaces tags.
#define HOLDALL_CAP2_UPDATE_TAGS (UINT64_C(1) << 13)
// Uploads, updates and copies may name a storage class.
#define HOLDALL_CAP2_STORAGE_CLASS (UINT64_C(1) << 14)
// Tags are kept, and returned when they are asked for.
#define HOLDALL_CAP2_TAGS (UINT64_C(1) << 15)
// Uploads may ask the store to encrypt with keys of its own.
#define HOLDALL_CAP2_ENCRYPTION_MANAGED (UINT64_C(1) << 16)
// Uploads may name the key of the key service that the store encrypts with.
#define HOLDALL_CAP2_ENCRYPTION_KEY_ID (UINT64_C(1) << 17)

// Kinds of errors, for `HoldallFfiError.kind`.
// No object has this key; proven, not supposed.
#define HOLDALL_KIND_FILE_NOT_FOUND 1u
// Our quota, or the provider's storage is full. A quota has the fact `scope`; a full store has none, and a server answers it with 500, or 507 in the refined profile.
#define HOLDALL_KIND_QUOTA_EXCEEDED 2u
// The declared or sniffed type is not allowed.
#define HOLDALL_KIND_INVALID_FILE_TYPE 3u
// The key breaks the backend's policy.
#define HOLDALL_KIND_INVALID_KEY 4u
// An option is out of range, a length does not match, a page token is foreign.
#define HOLDALL_KIND_INVALID_ARGUMENT 5u
// Over the size limit.
#define HOLDALL_KIND_TOO_LARGE 6u
// The range starts at or past the end; the fact `size` tells the size.
#define HOLDALL_KIND_INVALID_RANGE 7u
// An answer, not a failure: the caller's copy is current.
#define HOLDALL_KIND_NOT_MODIFIED 8u
// An etag or create-only condition was lost.
#define HOLDALL_KIND_PRECONDITION_FAILED 9u
// A concurrent change, or a key in the way of another. Read again before a repeat.
#define HOLDALL_KIND_CONFLICT 10u
// Uploaded bytes differ from the caller's digest.
#define HOLDALL_KIND_CHECKSUM_MISMATCH 11u
// The capability is not claimed, or a constraint cannot be honoured.
#define HOLDALL_KIND_UNSUPPORTED 12u
// The backend's own credentials are refused: never the client's fault.
#define HOLDALL_KIND_PERMISSION_DENIED 13u
// The backend's own credentials are missing or expired; the host opens the instance anew.
#define HOLDALL_KIND_UNAUTHENTICATED 14u
// The bucket or root is absent: configuration, not a missing object.
#define HOLDALL_KIND_CONTAINER_MISSING 15u
// The provider throttles.
#define HOLDALL_KIND_RATE_LIMITED 16u
// Refused, reset, no name, 5xx.
#define HOLDALL_KIND_UNAVAILABLE 17u
// A deadline or idle limit has passed.
#define HOLDALL_KIND_TIMEOUT 18u
// The caller went away.
#define HOLDALL_KIND_CANCELLED 19u
// A stored object fails its own checksum or metadata.
#define HOLDALL_KIND_CORRUPT 20u
// The configuration is wrong; every bad field is a fact.
#define HOLDALL_KIND_CONFIG_INVALID 21u
// No backend of this name.
#define HOLDALL_KIND_BACKEND_NOT_REGISTERED 22u
// The plugin's file was refused.
#define HOLDALL_KIND_PLUGIN_LOAD 23u
// The plugin panicked or broke the contract; its instance is not used again.
#define HOLDALL_KIND_PLUGIN_FAULT 24u
// Anything else.
#define HOLDALL_KIND_STORAGE_ERROR 25u

// `HoldallFfiError.retry`.
#define HOLDALL_RETRY_NEVER 0u
#define HOLDALL_RETRY_SAFE 1u
#define HOLDALL_RETRY_IF_IDEMPOTENT 2u
#define HOLDALL_RETRY_AFTER 3u // `retry_after_ms`

// `HoldallDownloadArgs.range_kind`.
#define HOLDALL_RANGE_ALL 0u
#define HOLDALL_RANGE_BOUNDED 1u // from `range_a` to before `range_b`
#define HOLDALL_RANGE_FROM 2u // from `range_a` on
#define HOLDALL_RANGE_LAST 3u // the last `range_a` bytes; only with HOLDALL_CAP_SUFFIX

// `existed` of an answer to a delete.
#define HOLDALL_EXISTED_UNKNOWN 0u
#define HOLDALL_EXISTED_NO 1u
#define HOLDALL_EXISTED_YES 2u

// `HoldallSignArgs.method`.
#define HOLDALL_METHOD_GET 1u
#define HOLDALL_METHOD_PUT 2u
#define HOLDALL_METHOD_HEAD 3u
#define HOLDALL_METHOD_DELETE 4u

// `HoldallUploadOptionArgs.durability`.
#define HOLDALL_DURABILITY_DEFAULT 0u
#define HOLDALL_DURABILITY_NONE 1u
#define HOLDALL_DURABILITY_DATA 2u
#define HOLDALL_DURABILITY_FULL 3u

// Bits of `checksums_known` and of `HoldallFfiTrailers.known`.
#define HOLDALL_CHECKSUM_CRC32C 1u
#define HOLDALL_CHECKSUM_MD5 2u
#define HOLDALL_CHECKSUM_SHA256 4u

// `HoldallFfiLogRecord.level`, and what `log_level` answers; 0: nothing is wanted.
#define HOLDALL_LEVEL_ERROR 1u
#define HOLDALL_LEVEL_WARN 2u
#define HOLDALL_LEVEL_INFO 3u
#define HOLDALL_LEVEL_DEBUG 4u
#define HOLDALL_LEVEL_TRACE 5u

// `HoldallHostServices.fault`, kind.
#define HOLDALL_FAULT_DROP 1u
#define HOLDALL_FAULT_TASK 2u

// Bytes of a chunk of a body: the smallest and the largest `chunk_hint`. No chunk is larger.
#define HOLDALL_MIN_CHUNK 65536u
#define HOLDALL_MAX_CHUNK 1048576u

#define HOLDALL_FINGERPRINT_COUNT 129
#define HOLDALL_FINGERPRINTS { \
  { UINT64_C(0xc6700828c53a0feb), UINT64_C(0x1e1c09df030aea47) }, \
  { UINT64_C(0x4d183177baf57b5b), UINT64_C(0x447eeb9dd1b38819) }, \
  { UINT64_C(0xb4c4fc7b1cc2e3cc), UINT64_C(0xda0b524b56bb7612) }, \
  { UINT64_C(0x40f855622a5b9c4d), UINT64_C(0x5682ba13b33cdfa9) }, \
  { UINT64_C(0xef1415a227632ba6), UINT64_C(0xa4eaaa3def6d7363) }, \
  { UINT64_C(0xf12a8b48d5270d32), UINT64_C(0x90673ca3eb7dfd36) }, \
  { UINT64_C(0x31a7bea10a0721ec), UINT64_C(0x646f6934c3ce7901) }, \
  { UINT64_C(0xa7ff61aa95d83228), UINT64_C(0x67c3b2c14d4bbcbe) }, \
  { UINT64_C(0x7a964926b5ece4a2), UINT64_C(0x1172a18a7825268f) }, \
  { UINT64_C(0xc9a7132faaaae4f1), UINT64_C(0x1c20a56d8a490eed) }, \
  { UINT64_C(0x0ef9d3d2935e9884), UINT64_C(0x8af0fbde31a87190) }, \
  { UINT64_C(0xdd1a4b973a4b8b39), UINT64_C(0x8de8ea3ce5ed085c) }, \
  { UINT64_C(0x5df8f0f984d21b51), UINT64_C(0x393c3a9e716689e5) }, \
  { UINT64_C(0x78d92b9cb1d04f8a), UINT64_C(0x3863e55ed02fd358) }, \
  { UINT64_C(0x558f9a678f458ac2), UINT64_C(0xf8577a7e66c4f0a6) }, \
  { UINT64_C(0x7fa32cbeac118a83), UINT64_C(0xdf28a3d73216cbce) }, \
  { UINT64_C(0xae7e104519f79e00), UINT64_C(0xf40ca2ebebb73fe8) }, \
  { UINT64_C(0x6a53c93cf73ae14a), UINT64_C(0xfe3c1f59d11778e0) }, \
  { UINT64_C(0x2a6849631413405a), UINT64_C(0x485e1bbc9f002915) }, \
  { UINT64_C(0x239b77ed815e1362), UINT64_C(0xcaca4ed744d627f3) }, \
  { UINT64_C(0x979bd9b5557310e7), UINT64_C(0x79ef7e3100cd3cdd) }, \
  { UINT64_C(0x15a2e1f219e3517f), UINT64_C(0xa350ea67c975b256) }, \
  { UINT64_C(0x724b8dd98f5fe35d), UINT64_C(0xaeb381997b114357) }, \
  { UINT64_C(0xcfa01b680bf228ed), UINT64_C(0x8396acfbc73d2cc6) }, \
  { UINT64_C(0xe683d27f5e2dea73), UINT64_C(0x6cdd319a7fdaac98) }, \
  { UINT64_C(0x59dc5918505ec53f), UINT64_C(0x6189cb3100669854) }, \
  { UINT64_C(0xc7f8ef52597bcd05), UINT64_C(0x7c49e53b595eafba) }, \
  { UINT64_C(0x4a52ec123d5e23da), UINT64_C(0x12aeac6e9bbf8520) }, \
  { UINT64_C(0x0a78341b391fa735), UINT64_C(0xbd097b083ba49357) }, \
  { UINT64_C(0x7f7c8b5f91c8c7fb), UINT64_C(0x1d60b9bbd7c93d62) }, \
  { UINT64_C(0xa48453dcc783597b), UINT64_C(0x7b4253a51dd64bc6) }, \
  { UINT64_C(0xffb999d4b43edae1), UINT64_C(0x823d24f077b7cc21) }, \
  { UINT64_C(0xb35b85bcdce8ce08), UINT64_C(0x1de47165d8658d17) }, \
  { UINT64_C(0xcaa4a1fecc6684c5), UINT64_C(0x28908874d7be8670) }, \
  { UINT64_C(0xcfefc12790248a48), UINT64_C(0x2161743ae68eec46) }, \
  { UINT64_C(0x24fd915830ee2c37), UINT64_C(0xa046d1c0c899242d) }, \
  { UINT64_C(0x8aed379d69a9e969), UINT64_C(0x0c4e2f6ca6630424) }, \
  { UINT64_C(0x2c3a5adeea722260), UINT64_C(0xebd62a6c46327f7e) }, \
  { UINT64_C(0xee28e44971cf26ee), UINT64_C(0xa8ea1ee523d2dfa5) }, \
  { UINT64_C(0x2aed2bc1eff0854e), UINT64_C(0xf53b2737e8fc6e15) }, \
  { UINT64_C(0x2f0a9a43ceb1b6d3), UINT64_C(0x1eb98b00e31d6515) }, \
  { UINT64_C(0x1afc260784d6a6bf), UINT64_C(0x8c7fb2f11b89556e) }, \
  { UINT64_C(0xa8e8efac19bee34d), UINT64_C(0xf564c809f22b7f22) }, \
  { UINT64_C(0xe308ef7b41c15fce), UINT64_C(0xf9ad3f31e65616d2) }, \
  { UINT64_C(0xe531e1a862d75da4), UINT64_C(0xc63a1e65a74a370a) }, \
  { UINT64_C(0x158f1966651a0fa6), UINT64_C(0xb8cc917239ef4799) }, \
  { UINT64_C(0xf7376d28e02ea553), UINT64_C(0x8f760529e4cf00a4) }, \
  { UINT64_C(0xc791599decffafc2), UINT64_C(0x6b72bf8e6e67dfc4) }, \
  { UINT64_C(0x4981812b2846a16f), UINT64_C(0xc1c696eec0734bd4) }, \
  { UINT64_C(0xa21738da6fecfa3a), UINT64_C(0xc1e35b95a13298ea) }, \
  { UINT64_C(0xa2f3827492154d37), UINT64_C(0x3618961fd1d62025) }, \
  { UINT64_C(0xc6700828c53a0feb), UINT64_C(0x1e1c09df030aea47) }, \
  { UINT64_C(0x4d183177baf57b5b), UINT64_C(0x447eeb9dd1b38819) }, \
  { UINT64_C(0xb4c4fc7b1cc2e3cc), UINT64_C(0xda0b524b56bb7612) }, \
  { UINT64_C(0x40f855622a5b9c4d), UINT64_C(0x5682ba13b33cdfa9) }, \
  { UINT64_C(0xef1415a227632ba6), UINT64_C(0xa4eaaa3def6d7363) }, \
  { UINT64_C(0xf12a8b48d5270d32), UINT64_C(0x90673ca3eb7dfd36) }, \
  { UINT64_C(0x31a7bea10a0721ec), UINT64_C(0x646f6934c3ce7901) }, \
  { UINT64_C(0xa7ff61aa95d83228), UINT64_C(0x67c3b2c14d4bbcbe) }, \
  { UINT64_C(0x7a964926b5ece4a2), UINT64_C(0x1172a18a7825268f) }, \
  { UINT64_C(0xc9a7132faaaae4f1), UINT64_C(0x1c20a56d8a490eed) }, \
  { UINT64_C(0x0ef9d3d2935e9884), UINT64_C(0x8af0fbde31a87190) }, \
  { UINT64_C(0xdd1a4b973a4b8b39), UINT64_C(0x8de8ea3ce5ed085c) }, \
  { UINT64_C(0x5df8f0f984d21b51), UINT64_C(0x393c3a9e716689e5) }, \
  { UINT64_C(0x78d92b9cb1d04f8a), UINT64_C(0x3863e55ed02fd358) }, \
  { UINT64_C(0x6dcf83cdc7c3b363), UINT64_C(0x9f52e21962b71a42) }, \
  { UINT64_C(0x7fa32cbeac118a83), UINT64_C(0xdf28a3d73216cbce) }, \
  { UINT64_C(0x66c177aa60608c0a), UINT64_C(0x7b9007fa07a3750a) }, \
  { UINT64_C(0x6a53c93cf73ae14a), UINT64_C(0xfe3c1f59d11778e0) }, \
  { UINT64_C(0xfcfde6a686ae6414), UINT64_C(0xc128ecbb73f20e53) }, \
  { UINT64_C(0x91cb3eb967ca9811), UINT64_C(0x34355c662a21a99d) }, \
  { UINT64_C(0x979bd9b5557310e7), UINT64_C(0x79ef7e3100cd3cdd) }, \
  { UINT64_C(0x15a2e1f219e3517f), UINT64_C(0xa350ea67c975b256) }, \
  { UINT64_C(0x50c68df06a035da2), UINT64_C(0x14342e8e018e52da) }, \
  { UINT64_C(0xcfa01b680bf228ed), UINT64_C(0x8396acfbc73d2cc6) }, \
  { UINT64_C(0xe683d27f5e2dea73), UINT64_C(0x6cdd319a7fdaac98) }, \
  { UINT64_C(0xfbe2829bc815be3f), UINT64_C(0xa7633325ca5f34df) }, \
  { UINT64_C(0xc7f8ef52597bcd05), UINT64_C(0x7c49e53b595eafba) }, \
  { UINT64_C(0x4a52ec123d5e23da), UINT64_C(0x12aeac6e9bbf8520) }, \
  { UINT64_C(0xa3f5308a1d6cd817), UINT64_C(0xb8a9cd6d9c79f494) }, \
  { UINT64_C(0x7f7c8b5f91c8c7fb), UINT64_C(0x1d60b9bbd7c93d62) }, \
  { UINT64_C(0xa48453dcc783597b), UINT64_C(0x7b4253a51dd64bc6) }, \
  { UINT64_C(0xffb999d4b43edae1), UINT64_C(0x823d24f077b7cc21) }, \
  { UINT64_C(0xb35b85bcdce8ce08), UINT64_C(0x1de47165d8658d17) }, \
  { UINT64_C(0xcaa4a1fecc6684c5), UINT64_C(0x28908874d7be8670) }, \
  { UINT64_C(0xcfefc12790248a48), UINT64_C(0x2161743ae68eec46) }, \
  { UINT64_C(0x24fd915830ee2c37), UINT64_C(0xa046d1c0c899242d) }, \
  { UINT64_C(0x0b3d6b2942a98b00), UINT64_C(0x1802d2ab94ddf1fb) }, \
  { UINT64_C(0xd0a83c44ddef854a), UINT64_C(0xd5ea44e4ba2d8136) }, \
  { UINT64_C(0xee28e44971cf26ee), UINT64_C(0xa8ea1ee523d2dfa5) }, \
  { UINT64_C(0x2aed2bc1eff0854e), UINT64_C(0xf53b2737e8fc6e15) }, \
  { UINT64_C(0x4393fb4d5a0d1fbc), UINT64_C(0x923a17123b805365) }, \
  { UINT64_C(0x34c0faaee42d35ad), UINT64_C(0x24d71be562abf880) }, \
  { UINT64_C(0xa8e8efac19bee34d), UINT64_C(0xf564c809f22b7f22) }, \
  { UINT64_C(0xe308ef7b41c15fce), UINT64_C(0xf9ad3f31e65616d2) }, \
  { UINT64_C(0xe531e1a862d75da4), UINT64_C(0xc63a1e65a74a370a) }, \
  { UINT64_C(0x158f1966651a0fa6), UINT64_C(0xb8cc917239ef4799) }, \
  { UINT64_C(0xf7376d28e02ea553), UINT64_C(0x8f760529e4cf00a4) }, \
  { UINT64_C(0xc791599decffafc2), UINT64_C(0x6b72bf8e6e67dfc4) }, \
  { UINT64_C(0x4981812b2846a16f), UINT64_C(0xc1c696eec0734bd4) }, \
  { UINT64_C(0x1b37f2f0ede5d6ff), UINT64_C(0x4246e3525e6d7b5f) }, \
  { UINT64_C(0xfcafca13563cc762), UINT64_C(0xb3b1feb816c31081) }, \
  { UINT64_C(0x971df038892512a9), UINT64_C(0x4da68fe9dba99bdf) }, \
  { UINT64_C(0x6909b05997df71a1), UINT64_C(0x9eaf29fadcac6cc1) }, \
  { UINT64_C(0xc1412e312c031eb8), UINT64_C(0xac7151e3920252ac) }, \
  { UINT64_C(0xcce42071de25da92), UINT64_C(0x1e4aa1d5e1b36a23) }, \
  { UINT64_C(0xd8f3200480052dc0), UINT64_C(0xb1c52410b49c4b92) }, \
  { UINT64_C(0x195cb10f638263ec), UINT64_C(0xc7314f370072dd7a) }, \
  { UINT64_C(0x92aba8a3f2834ca5), UINT64_C(0x82f4a80ae7372c8a) }, \
  { UINT64_C(0x30e30436bfcb133a), UINT64_C(0xabb28bf61c391d7e) }, \
  { UINT64_C(0x031db67d52720b43), UINT64_C(0x9c49d5202ad455da) }, \
  { UINT64_C(0xe5c632298fc7ab7a), UINT64_C(0x8ced08d91653c170) }, \
  { UINT64_C(0xd6bde373c1365476), UINT64_C(0xfdd31f46abd3c809) }, \
  { UINT64_C(0x793a234a21821cd4), UINT64_C(0xb325e9b9793a0db5) }, \
  { UINT64_C(0x69e848a7a507e9b9), UINT64_C(0xa09fa4e218e246d7) }, \
  { UINT64_C(0x60e8d01f5f6fb896), UINT64_C(0xa570a427a00d3455) }, \
  { UINT64_C(0xbc930404f1208daa), UINT64_C(0x1c37c3470d26ccf0) }, \
  { UINT64_C(0x5661c2e5aade922e), UINT64_C(0x543632bfc8857ae7) }, \
  { UINT64_C(0xd0b2ef0a195ac3ec), UINT64_C(0x24a66ea59c729ca9) }, \
  { UINT64_C(0x9930bcb0a196feea), UINT64_C(0x1ddd1cf52213d24a) }, \
  { UINT64_C(0xf3739b349d6256b1), UINT64_C(0x729956dfe7b273d1) }, \
  { UINT64_C(0xdac4ea7c05e0e3e3), UINT64_C(0x064e8d988ca3d743) }, \
  { UINT64_C(0x1b6262c4bbf9decc), UINT64_C(0x7a35768447b6226f) }, \
  { UINT64_C(0x49cc2cb7cf015d43), UINT64_C(0x45b772c26b4b0d20) }, \
  { UINT64_C(0xdf94c6dfc755f7d5), UINT64_C(0x4461c45e007e1f5c) }, \
  { UINT64_C(0x8e8106382f66900c), UINT64_C(0x03c30e28671a48bf) }, \
  { UINT64_C(0xbea08437eedad72e), UINT64_C(0x6ace8ec08525fae2) }, \
  { UINT64_C(0x775ed9f6369415ac), UINT64_C(0x81d93db163318e58) }, \
  { UINT64_C(0x2bbf7720035f88e0), UINT64_C(0x9304ca67f52ebc2d) }, \
}
// The same as a table, for languages that read no brace macros.
static const uint64_t HOLDALL_FINGERPRINT_TABLE[HOLDALL_FINGERPRINT_COUNT][2] = HOLDALL_FINGERPRINTS;

#endif // HOLDALL_H
