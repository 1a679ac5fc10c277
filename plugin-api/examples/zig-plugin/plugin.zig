//! A Holdall plugin in Zig: objects in memory, nothing else. Zig 0.17, from `pip install ziglang`.
//!
//!     zig translate-c -lc ../../include/holdall.h | sed 's/^pub var /pub const /' > holdall.zig
//!     zig build-lib -dynamic -O ReleaseSafe -fstrip -lc plugin.zig -femit-bin=libholdall_plugin_zigmemory.so
//!
//! The comment at the top of holdall.h has the rules of the boundary. Beside them, for Zig:
//!
//!   - `translate-c` makes the tables. It takes the constant table of fingerprints for a variable; `sed` puts that
//!     right, because the descriptor is made at compile time.
//!   - A panic ends the process of the host: Zig has no unwinding. Errors are values here, also for memory that is
//!     short, and nothing may be `unreachable` that a store can cause.
//!   - The descriptor says HOLDALL_FLAG_BLOCKING, so that each function may block, and HOLDALL_PENDING is never
//!     answered.
//!
//! Lines to change are marked with CHANGE.

const h = @import("holdall.zig");

const NAME = "zigmemory"; // CHANGE: also the entry function at the end

// CHANGE: what is served (the slots that are filled below) and what is promised. The host refuses the rest.
const served: u64 = h.HOLDALL_OP_UPLOAD | h.HOLDALL_OP_DOWNLOAD | h.HOLDALL_OP_DELETE | h.HOLDALL_OP_EXISTS |
    h.HOLDALL_OP_SIGNED_URL;
const capabilities: u64 = h.HOLDALL_CAP_ATOMIC_PUT | h.HOLDALL_CAP_SUFFIX | h.HOLDALL_CAP_UNKNOWN_LENGTH |
    h.HOLDALL_CAP_ANY_KEY | h.HOLDALL_CAP_KEY_AND_PREFIX | h.HOLDALL_CAP_CASE_SENSITIVE | h.HOLDALL_CAP_UNICODE_EXACT |
    h.HOLDALL_CAP_EXACT_DELETE;

// ---- helpers --------------------------------------------------------------------------------------

extern fn malloc(usize) ?*anyopaque;
extern fn realloc(?*anyopaque, usize) ?*anyopaque;
extern fn free(?*anyopaque) void;

/// An error: a kind to act on, and a message for clients.
const Failure = error{ NotFound, InvalidRange, Unsupported, OutOfMemory };

fn create(comptime T: type) Failure!*T {
    const memory = malloc(@sizeOf(T)) orelse return error.OutOfMemory;
    return @ptrCast(@alignCast(memory));
}

fn view(text: h.HoldallFfiSlice) []const u8 {
    return if (text.ptr == null) "" else text.ptr[0..text.len];
}

/// Lent: what it points to must live until the answer is released.
fn slice(text: []const u8) h.HoldallFfiSlice {
    return .{ .ptr = text.ptr, .len = text.len };
}

fn equal(one: []const u8, other: []const u8) bool {
    if (one.len != other.len) return false;
    for (one, other) |a, b| if (a != b) return false;
    return true;
}

/// The first word of an answer says how much room the host has, then how much is filled.
fn fill(out: anytype, value: @typeInfo(@TypeOf(out)).pointer.child) void {
    const room = out.*.size;
    var filled = value;
    filled.size = @min(room, @sizeOf(@TypeOf(value)));
    const from: [*]const u8 = @ptrCast(&filled);
    const to: [*]u8 = @ptrCast(out);
    @memcpy(to[0..filled.size], from[0..filled.size]);
}

const OwnedFact = struct { pair: h.HoldallFfiPair, digits: [20]u8 };

fn release(owner: ?*anyopaque) callconv(.c) void {
    free(owner);
}

fn tell(err: [*c]h.HoldallFfiError, failure: Failure) h.HoldallStatus {
    var failed = h.HoldallFfiError{};
    failed.kind = switch (failure) {
        error.NotFound => h.HOLDALL_KIND_FILE_NOT_FOUND,
        error.InvalidRange => h.HOLDALL_KIND_INVALID_RANGE,
        error.Unsupported => h.HOLDALL_KIND_UNSUPPORTED,
        error.OutOfMemory => h.HOLDALL_KIND_QUOTA_EXCEEDED,
    };
    failed.message = slice(switch (failure) {
        error.NotFound => "no object has this key",
        error.InvalidRange => "the range begins past the object",
        error.Unsupported => "this kind of range",
        error.OutOfMemory => "out of memory",
    });
    fill(err, failed);
    return h.HOLDALL_FAILED;
}

/// An error of this kind carries the size of the object.
fn tellRange(err: [*c]h.HoldallFfiError, size: u64) h.HoldallStatus {
    const owned = create(OwnedFact) catch return tell(err, error.OutOfMemory);
    var at = owned.digits.len;
    var rest = size;
    while (true) {
        at -= 1;
        owned.digits[at] = '0' + @as(u8, @intCast(rest % 10));
        rest /= 10;
        if (rest == 0) break;
    }
    owned.pair = .{ .name = slice("size"), .value = slice(owned.digits[at..]) };
    fill(err, .{
        .kind = h.HOLDALL_KIND_INVALID_RANGE,
        .message = slice("the range begins past the object"),
        .facts = .{ .ptr = &owned.pair, .len = 1 },
        .owner = owned,
        .release = release,
    });
    return h.HOLDALL_FAILED;
}

// ---- the store: CHANGE ------------------------------------------------------------------------------

/// Never changes once it is published. The store, each reader and each chunk hold a share.
const Object = struct {
    next: ?*Object = null,
    shares: u32 = 1,
    key: []u8,
    bytes: ?[*]u8 = null,
    len: usize = 0,

    fn share(object: *Object) *Object {
        _ = @atomicRmw(u32, &object.shares, .Add, 1, .monotonic);
        return object;
    }

    fn end(object: *Object) void {
        if (@atomicRmw(u32, &object.shares, .Sub, 1, .acq_rel) != 1) return;
        free(object.key.ptr);
        free(object.bytes);
        free(object);
    }

    fn append(object: *Object, chunk: []const u8, room: *usize) Failure!void {
        if (object.len + chunk.len > room.*) {
            const wanted = @max(object.len + chunk.len, room.* * 2);
            object.bytes = @ptrCast(realloc(object.bytes, wanted) orelse return error.OutOfMemory);
            room.* = wanted;
        }
        if (chunk.len > 0) @memcpy(object.bytes.?[object.len..][0..chunk.len], chunk);
        object.len += chunk.len;
    }
};

const Store = struct {
    /// Guards the list. Never held while a body is read.
    taken: u32 = 0,
    objects: ?*Object = null,

    fn lock(store: *Store) void {
        while (@atomicRmw(u32, &store.taken, .Xchg, 1, .acquire) != 0) {}
    }

    fn unlock(store: *Store) void {
        @atomicStore(u32, &store.taken, 0, .release);
    }

    /// The link that leads to the object of this key, or to the end. Under the lock.
    fn place(store: *Store, key: []const u8) *?*Object {
        var link = &store.objects;
        while (link.*) |object| : (link = &object.next) if (equal(object.key, key)) break;
        return link;
    }

    /// A share of the object of this key.
    fn find(store: *Store, key: []const u8) Failure!*Object {
        store.lock();
        defer store.unlock();
        const found = store.place(key).* orelse return error.NotFound;
        return found.share();
    }

    /// Takes the object of this key out; `with` comes in its place.
    fn replace(store: *Store, key: []const u8, with: ?*Object) bool {
        store.lock();
        const link = store.place(key);
        const old = link.*;
        const after = if (old) |object| object.next else null;
        if (with) |object| object.next = after;
        link.* = with orelse after;
        store.unlock();
        if (old) |object| object.end();
        return old != null;
    }
};

/// The host shares the store between threads; its lock makes that true.
fn storeOf(backend: ?*const anyopaque) *Store {
    return @ptrCast(@alignCast(@constCast(backend.?)));
}

// ---- the operations ---------------------------------------------------------------------------------

fn open(_: ?*const anyopaque, _: [*c]const h.HoldallOpenArgs, _: ?*anyopaque, _: [*c]const h.HoldallFfiContext, out: [*c]h.HoldallOpenOut, err: [*c]h.HoldallFfiError, _: [*c]h.HoldallFfiFuture) callconv(.c) h.HoldallStatus {
    // CHANGE: `config` of the arguments is the JSON that the host has checked against the schema below.
    const store = create(Store) catch |failure| return tell(err, failure);
    store.* = .{};
    fill(out, .{
        .backend = store,
        .operations = served,
        .capabilities = capabilities,
        .max_object_size = ~@as(u64, 0),
        .max_conditional_size = ~@as(u64, 0),
        .max_metadata_bytes = 2048,
        .max_page = 1000,
        .buffer_bytes = 8 << 20,
        .description = slice("memory of this process, in Zig"),
    });
    return h.HOLDALL_READY;
}

/// Called once, after the last operation and the last body.
fn drop(backend: ?*const anyopaque) callconv(.c) void {
    const store = storeOf(backend);
    while (store.objects) |object| {
        store.objects = object.next;
        object.end();
    }
    free(store);
}

fn upload(backend: ?*const anyopaque, args: [*c]const h.HoldallUploadArgs, _: ?*anyopaque, cx: [*c]const h.HoldallFfiContext, out: [*c]h.HoldallUploadOut, err: [*c]h.HoldallFfiError, _: [*c]h.HoldallFfiFuture) callconv(.c) h.HoldallStatus {
    // The body is the plugin's from the first instruction on, so it ends on every path.
    var body = args.*.body;
    defer body.table.*.drop.?(&body.words);
    return store_body(storeOf(backend), view(args.*.key), &body, cx, out, err) catch |failure| tell(err, failure);
}

fn store_body(store: *Store, key: []const u8, body: *h.HoldallFfiStream, cx: [*c]const h.HoldallFfiContext, out: [*c]h.HoldallUploadOut, err: [*c]h.HoldallFfiError) Failure!h.HoldallStatus {
    const name: [*]u8 = @ptrCast(malloc(@max(key.len, 1)) orelse return error.OutOfMemory);
    @memcpy(name[0..key.len], key);
    const object = create(Object) catch |failure| {
        free(name);
        return failure;
    };
    object.* = .{ .key = name[0..key.len] };
    var published = false;
    defer if (!published) object.end();
    var room: usize = 0;
    while (true) {
        var chunk = h.HoldallFfiBytes{};
        var end = h.HoldallFfiTrailers{ .size = @sizeOf(h.HoldallFfiTrailers) };
        const status = body.table.*.poll_next.?(&body.words, cx, &chunk, &end, err);
        if (status == h.HOLDALL_END) break;
        // `err` holds the error of the source.
        if (status != h.HOLDALL_READY) return status;
        // The chunk goes back whatever happens.
        defer if (chunk.release) |give_back| give_back(&chunk.owner);
        try object.append(chunk.ptr[0..chunk.len], &room);
    }
    const size = object.len;
    published = true;
    _ = store.replace(key, object);
    fill(out, .{ .bytes = size, .last_modified_ns = NO_TIME });
    return h.HOLDALL_READY;
}

/// A time that is not known.
const NO_TIME: i64 = -9223372036854775808;

const Reader = struct { object: *Object, at: u64, end: u64, chunk: u32 };

fn nextChunk(words: [*c][5]?*anyopaque, _: [*c]const h.HoldallFfiContext, out: [*c]h.HoldallFfiBytes, end: [*c]h.HoldallFfiTrailers, _: [*c]h.HoldallFfiError) callconv(.c) h.HoldallStatus {
    const reader: *Reader = @ptrCast(@alignCast(words.*[0].?));
    const len = @min(reader.end - reader.at, reader.chunk);
    if (len == 0) {
        fill(end, .{ .bytes = ~@as(u64, 0) });
        return h.HOLDALL_END;
    }
    // No copy: the chunk is a part of the object, and holds a share of it.
    out.* = .{ .ptr = reader.object.bytes.? + reader.at, .len = len, .release = releaseChunk };
    out.*.owner[0] = reader.object.share();
    reader.at += len;
    return h.HOLDALL_READY;
}

fn releaseChunk(owner: [*c][4]?*anyopaque) callconv(.c) void {
    const object: *Object = @ptrCast(@alignCast(owner.*[0].?));
    object.end();
}

fn dropReader(words: [*c][5]?*anyopaque) callconv(.c) void {
    const reader: *Reader = @ptrCast(@alignCast(words.*[0].?));
    reader.object.end();
    free(reader);
}

const reader_table = h.HoldallStreamTable{ .size = @sizeOf(h.HoldallStreamTable), .poll_next = nextChunk, .drop = dropReader };

fn download(backend: ?*const anyopaque, args: [*c]const h.HoldallDownloadArgs, _: ?*anyopaque, _: [*c]const h.HoldallFfiContext, out: [*c]h.HoldallDownloadOut, err: [*c]h.HoldallFfiError, _: [*c]h.HoldallFfiFuture) callconv(.c) h.HoldallStatus {
    const object = storeOf(backend).find(view(args.*.key)) catch |failure| return tell(err, failure);
    const size: u64 = object.len;
    return read(object, args, out) catch |failure| {
        object.end();
        return if (failure == error.InvalidRange) tellRange(err, size) else tell(err, failure);
    };
}

fn read(object: *Object, args: [*c]const h.HoldallDownloadArgs, out: [*c]h.HoldallDownloadOut) Failure!h.HoldallStatus {
    const size: u64 = object.len;
    var start: u64 = 0;
    var end = size;
    switch (args.*.range_kind) {
        h.HOLDALL_RANGE_ALL => {},
        h.HOLDALL_RANGE_BOUNDED => {
            start = args.*.range_a;
            end = @min(args.*.range_b, size);
        },
        h.HOLDALL_RANGE_FROM => start = args.*.range_a,
        h.HOLDALL_RANGE_LAST => start = size -| args.*.range_a,
        else => return error.Unsupported,
    }
    if (args.*.range_kind != h.HOLDALL_RANGE_ALL and start >= end) return error.InvalidRange;
    const reader = try create(Reader);
    const facts = create(h.HoldallObjectOut) catch |failure| {
        free(reader);
        return failure;
    };
    reader.* = .{ .object = object, .at = start, .end = end, .chunk = args.*.chunk_hint };
    facts.* = .{ .size = @sizeOf(h.HoldallObjectOut), .bytes = size, .last_modified_ns = NO_TIME };
    var body = h.HoldallFfiStream{ .table = &reader_table };
    body.words[0] = reader;
    fill(out, .{ .object = facts, .range_start = start, .range_end = end, .body = body, .owner = facts, .release = release });
    return h.HOLDALL_READY;
}

fn delete(backend: ?*const anyopaque, args: [*c]const h.HoldallDeleteArgs, _: ?*anyopaque, _: [*c]const h.HoldallFfiContext, out: [*c]h.HoldallDeleteOut, err: [*c]h.HoldallFfiError, _: [*c]h.HoldallFfiFuture) callconv(.c) h.HoldallStatus {
    const existed = storeOf(backend).replace(view(args.*.key), null);
    if (!existed and args.*.must_exist != 0) return tell(err, error.NotFound);
    fill(out, .{ .existed = if (existed) h.HOLDALL_EXISTED_YES else h.HOLDALL_EXISTED_NO });
    return h.HOLDALL_READY;
}

fn exists(backend: ?*const anyopaque, args: [*c]const h.HoldallExistsArgs, _: ?*anyopaque, _: [*c]const h.HoldallFfiContext, out: [*c]h.HoldallExistsOut, _: [*c]h.HoldallFfiError, _: [*c]h.HoldallFfiFuture) callconv(.c) h.HoldallStatus {
    const store = storeOf(backend);
    store.lock();
    const found = store.place(view(args.*.key)).* != null;
    store.unlock();
    fill(out, .{ .exists = @intFromBool(found) });
    return h.HOLDALL_READY;
}

/// A store without HTTP of its own leaves signing to the host.
fn signedUrl(backend: ?*const anyopaque, args: [*c]const h.HoldallSignArgs, _: ?*anyopaque, _: [*c]const h.HoldallFfiContext, out: [*c]h.HoldallSignOut, err: [*c]h.HoldallFfiError, _: [*c]h.HoldallFfiFuture) callconv(.c) h.HoldallStatus {
    if (args.*.must_exist != 0) {
        const found = storeOf(backend).find(view(args.*.key)) catch |failure| return tell(err, failure);
        found.end();
    }
    fill(out, .{ .at_gateway = 1 });
    return h.HOLDALL_READY;
}

// ---- the descriptor ---------------------------------------------------------------------------------

const operations = h.HoldallBackendTable{
    .size = @sizeOf(h.HoldallBackendTable),
    .drop = drop,
    .start_upload = upload,
    .start_download = download,
    .start_delete = delete,
    .start_exists = exists,
    .start_signed_url = signedUrl,
};

// CHANGE: summary, licence and schema.
const json = "{\"name\":\"" ++ NAME ++ "\",\"version\":\"0.1.0\",\"schemes\":[\"" ++ NAME ++ "\"]," ++
    "\"entry\":\"" ++ h.HOLDALL_ENTRY_PREFIX ++ NAME ++ "\"," ++
    "\"summary\":\"Objects in memory: an example in Zig\",\"license\":\"MIT OR Apache-2.0\"," ++
    "\"language\":\"Zig\",\"config_schema\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{}}}";

const Descriptor = extern struct {
    header: h.HoldallHeader,
    fingerprints: [h.HOLDALL_FINGERPRINT_COUNT][2]u64,
    json: [json.len]u8,
};

/// Plain bytes in a section of their own, which the host reads without running the file.
const descriptor: Descriptor linksection(h.HOLDALL_SECTION) = .{
    .header = .{
        .magic = "HOLDALL\x00".*,
        .descriptor_version = h.HOLDALL_DESCRIPTOR_VERSION,
        .abi_major = h.HOLDALL_ABI_MAJOR,
        .abi_minor = h.HOLDALL_ABI_MINOR,
        .flags = h.HOLDALL_ABI_FLAGS | h.HOLDALL_FLAG_BLOCKING,
        .fingerprint_count = h.HOLDALL_FINGERPRINT_COUNT,
        .operations = served,
        .capabilities = capabilities,
        .json_len = json.len,
    },
    .fingerprints = h.HOLDALL_FINGERPRINT_TABLE,
    .json = json.*,
};

const plugin = h.HoldallPluginTable{
    .size = @sizeOf(h.HoldallPluginTable),
    .abi_major = h.HOLDALL_ABI_MAJOR,
    .abi_minor = h.HOLDALL_ABI_MINOR,
    .descriptor = .{
        .ptr = @ptrCast(&descriptor),
        .len = @offsetOf(Descriptor, "json") + json.len,
    },
    .open = open,
    .ops = &operations,
};

/// The one symbol that a plugin exports: the prefix, then its name.
export fn holdall_plugin_v1_zigmemory() *const h.HoldallPluginTable {
    return &plugin;
}
