/* A Holdall plugin in plain C: objects in memory, nothing else.
 *
 * It shows all that an author in C has to know, in the order in which it is needed:
 *
 *   1 small helpers    answers, errors, texts
 *   2 the store        what a real plugin would replace
 *   3 the operations   one function each; those of ABI 1.1 are in parts.c and ranges.c
 *   4 the descriptor   what the host reads before it runs any of this
 *
 * A plugin without uploads in parts or reads of many ranges leaves out that file, its slots in OPERATIONS and its bits
 * in SERVED_SINCE_1_1 and CAPABILITIES_2.
 *
 * Compile it with
 *
 *   gcc -std=c11 -Wall -Wextra -shared -fPIC -fvisibility=hidden -pthread \
 *       -I plugin-api/include plugin.c -o libholdall_plugin_cmemory.so
 *
 * The rules of the boundary, as far as they matter here:
 *
 *   - The descriptor says HOLDALL_FLAG_BLOCKING. So every function here may block: the host calls it
 *     from a thread of its own pool, and several of them at once. In return no function here ever
 *     answers HOLDALL_PENDING, `storage` and `fut` stay untouched, and the body of an upload, too,
 *     waits for its bytes instead of answering HOLDALL_PENDING.
 *   - Arguments, and all that they point to, are lent for the call. The body of an upload is not
 *     lent but given: it is ours from the first instruction on, whatever we answer.
 *   - Who allocates frees. An answer that points to memory of ours says so with `owner` and
 *     `release`; the host copies what it needs and calls `release` once. A `release` may be called
 *     from any thread, and must not block.
 *   - Texts are UTF-8 with a length and no final zero. A null `ptr` means "absent".
 *   - An option whose capability is not claimed below never arrives: the host has refused it.
 *   - Nothing may leave a function by other means than `return`: no longjmp, no exception.
 */

#include "holdall.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "cmemory"

/* What is served: the slots that are filled below. */
#define SERVED                                                                                     \
  (HOLDALL_OP_UPLOAD | HOLDALL_OP_DOWNLOAD | HOLDALL_OP_DELETE | HOLDALL_OP_EXISTS |               \
   HOLDALL_OP_SIGNED_URL | HOLDALL_OP_HEAD | HOLDALL_OP_LIST | HOLDALL_OP_HEALTH |                 \
   HOLDALL_OP_SHUTDOWN)

/* The same for the slots that ABI 1.1 added: a host of 1.0 does not know them. */
#define SERVED_SINCE_1_1                                                                           \
  (HOLDALL_OP_CREATE_UPLOAD | HOLDALL_OP_PUT_PART | HOLDALL_OP_LIST_PARTS |                        \
   HOLDALL_OP_LIST_UPLOADS | HOLDALL_OP_COMPLETE_UPLOAD | HOLDALL_OP_ABORT_UPLOAD |                \
   HOLDALL_OP_DOWNLOAD_RANGES)

/* What is promised: exactly what the code below does. The rest is refused by the host. */
#define CAPABILITIES                                                                               \
  (HOLDALL_CAP_ATOMIC_PUT | HOLDALL_CAP_CREATE_ONLY | HOLDALL_CAP_SUFFIX |                         \
   HOLDALL_CAP_UNKNOWN_LENGTH | HOLDALL_CAP_CONTENT_TYPE | HOLDALL_CAP_CHECKSUM_CRC32C |           \
   HOLDALL_CAP_ORDERED_LIST | HOLDALL_CAP_START_AFTER | HOLDALL_CAP_ANY_DELIMITER |                \
   HOLDALL_CAP_ANY_KEY | HOLDALL_CAP_KEY_AND_PREFIX | HOLDALL_CAP_CASE_SENSITIVE |                 \
   HOLDALL_CAP_UNICODE_EXACT | HOLDALL_CAP_EXACT_DELETE)

/* Promises of ABI 1.1 have a word of their own. */
#define CAPABILITIES_2 (HOLDALL_CAP2_PARTS | HOLDALL_CAP2_PARTS_ANY_SIZE | HOLDALL_CAP2_RANGES)

/* ---- 1 small helpers ------------------------------------------------------------------------ */

/* Every allocation that outlives a call goes through these two, so that a test can see that the
 * host gives everything back. */
static atomic_long live;

static void *take(size_t bytes) {
  void *memory = calloc(1, bytes);
  if (memory)
    live++;
  return memory;
}

static void give_back(void *memory) {
  if (memory)
    live--;
  free(memory);
}

/* The first word of every answer is a size: before the call, how much room the host has; after it,
 * how much is filled. A host that is older than this plugin has less room, a newer one more. */
static void fill(void *out, const void *value, size_t size) {
  size_t room = *(const size_t *)out;
  size_t filled = room < size ? room : size;
  memcpy(out, value, filled);
  *(size_t *)out = filled;
}

#define FILL(out, value) fill((out), &(value), sizeof(value))

static HoldallFfiSlice text(const char *zero_terminated) {
  return (HoldallFfiSlice){(const uint8_t *)zero_terminated, strlen(zero_terminated)};
}

static bool starts_with(HoldallFfiSlice whole, HoldallFfiSlice start) {
  return whole.len >= start.len && (start.len == 0 || memcmp(whole.ptr, start.ptr, start.len) == 0);
}

/* Byte order, as a listing has it; a shorter key comes first. */
static int compare(HoldallFfiSlice a, HoldallFfiSlice b) {
  size_t common = a.len < b.len ? a.len : b.len;
  int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
  return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* An error is a kind that callers act on, and a message that clients may see. This one owns
 * nothing: its message is a constant. `retry` stays 0: nothing here gets better by a repeat. */
static HoldallStatus fail(HoldallFfiError *err, uint32_t kind, const char *message) {
  HoldallFfiError error = {.size = sizeof error, .kind = kind, .message = text(message)};
  FILL(err, error);
  return HOLDALL_FAILED;
}

/* An error with a fact that is only known now. It owns memory until the host has copied it. */
struct owned_fact {
  HoldallFfiPair pair;
  char digits[24];
};

static HoldallStatus fail_with_number(HoldallFfiError *err, uint32_t kind, const char *message,
                                      const char *name, uint64_t number) {
  struct owned_fact *fact = take(sizeof *fact);
  if (!fact)
    return fail(err, kind, message); /* A poorer error is better than none. */
  snprintf(fact->digits, sizeof fact->digits, "%llu", (unsigned long long)number);
  fact->pair = (HoldallFfiPair){text(name), text(fact->digits)};
  HoldallFfiError error = {.size = sizeof error,
                           .kind = kind,
                           .message = text(message),
                           .facts = {&fact->pair, 1},
                           .owner = fact,
                           .release = give_back};
  FILL(err, error);
  return HOLDALL_FAILED;
}

/* A stable code, where the kind of an error says too little. Every host has room for it. */
static HoldallStatus with_code(HoldallFfiError *err, const char *code) {
  err->code = text(code);
  return HOLDALL_FAILED;
}

/* Room for one more in an array of pointers; null when there is none, and the array is as it was. */
static void *with_room(void *array, size_t count, size_t *room) {
  if (array && count < *room)
    return array;
  size_t more = *room ? *room * 2 : 16;
  void *larger = realloc(array, more * sizeof(void *));
  if (larger)
    *room = more;
  return larger;
}

/* ---- 2 the store ---------------------------------------------------------------------------- */

/* An object never changes once it is published, and is shared by counting: a reader keeps the one
 * that it began with, whatever becomes of its key. */
struct object {
  atomic_size_t count;
  HoldallFfiSlice key;          /* In `texts`. */
  HoldallFfiSlice content_type; /* In `texts`, or absent. */
  char etag[20];
  int64_t modified_ns;
  uint32_t checksums_known;
  uint32_t crc32c;
  uint64_t size;
  uint8_t *bytes;
  uint8_t texts[];
};

struct upload;

struct store {
  pthread_mutex_t lock; /* Guards what follows. Never held while a body is read. */
  struct object **objects; /* In byte order of their keys. */
  size_t count;
  size_t room;
  struct upload **uploads; /* In parts, not completed yet: see parts.c. */
  size_t upload_count;
  size_t upload_room;
  uint64_t max_objects;
  uint64_t writes;
  bool closed;
  HoldallHostServices host;
};

/* An object without bytes, or null. */
static struct object *new_object(HoldallFfiSlice key, HoldallFfiSlice content_type) {
  struct object *object = take(sizeof *object + key.len + content_type.len);
  if (!object)
    return NULL;
  object->count = 1;
  if (key.len)
    memcpy(object->texts, key.ptr, key.len);
  object->key = (HoldallFfiSlice){object->texts, key.len};
  if (content_type.ptr) {
    object->content_type = (HoldallFfiSlice){object->texts + key.len, content_type.len};
    memcpy(object->texts + key.len, content_type.ptr, content_type.len);
  }
  return object;
}

static struct object *share(struct object *object) {
  object->count++;
  return object;
}

/* Takes an untyped pointer, so that it can be the `release` of an answer. */
static void unshare(void *shared) {
  struct object *object = shared;
  if (object && --object->count == 0) {
    give_back(object->bytes);
    give_back(object);
  }
}

/* Where this key is, or where it belongs. */
static size_t position(const struct store *store, HoldallFfiSlice key) {
  size_t low = 0, high = store->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare(store->objects[middle]->key, key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool is_at(const struct store *store, size_t at, HoldallFfiSlice key) {
  return at < store->count && compare(store->objects[at]->key, key) == 0;
}

/* Every operation begins here. The host lends a pointer to const because it shares the store
 * between threads; the mutex is what makes that true. */
static struct store *locked(const void *backend) {
  struct store *store = (struct store *)backend;
  pthread_mutex_lock(&store->lock);
  return store;
}

static void unlock(struct store *store) { pthread_mutex_unlock(&store->lock); }

static HoldallStatus closed(HoldallFfiError *err) {
  return fail(err, HOLDALL_KIND_UNAVAILABLE, "the store was shut down");
}

/* The object of this key, shared, or an error. */
static HoldallStatus find(const void *backend, HoldallFfiSlice key, struct object **found,
                          HoldallFfiError *err) {
  struct store *store = locked(backend);
  bool is_closed = store->closed;
  size_t at = position(store, key);
  *found = !is_closed && is_at(store, at, key) ? share(store->objects[at]) : NULL;
  unlock(store);
  if (is_closed)
    return closed(err);
  return *found ? HOLDALL_READY : fail(err, HOLDALL_KIND_FILE_NOT_FOUND, "no object has this key");
}

/* Names the bytes of an object, or of a part. Called with the lock. */
static void stamp(struct store *store, struct object *object) {
  snprintf(object->etag, sizeof object->etag, "%llx", (unsigned long long)++store->writes);
  object->modified_ns = store->host.unix_ns(store->host.host);
}

/* Puts an object under its key, or says why not. Data and metadata appear in this one step. Called
 * with the lock. */
static HoldallStatus publish(struct store *store, struct object *object, bool create_only,
                             HoldallFfiError *err) {
  size_t at = position(store, object->key);
  bool exists = is_at(store, at, object->key);
  if (store->closed)
    return closed(err);
  if (exists && create_only)
    return fail(err, HOLDALL_KIND_PRECONDITION_FAILED, "the key exists");
  if (!exists && store->count >= store->max_objects)
    return fail_with_number(err, HOLDALL_KIND_QUOTA_EXCEEDED, "the store holds no more objects",
                            "limit", store->max_objects);
  if (exists) {
    unshare(store->objects[at]);
  } else {
    struct object **objects = with_room(store->objects, store->count, &store->room);
    if (!objects)
      return fail(err, HOLDALL_KIND_QUOTA_EXCEEDED, "out of memory");
    store->objects = objects;
    memmove(objects + at + 1, objects + at, (store->count - at) * sizeof *objects);
    store->count++;
  }
  stamp(store, object);
  store->objects[at] = share(object);
  return HOLDALL_READY;
}

#ifdef HOLDALL_TEST
#include "hooks.c"
#else
#define hook(key) ((void)(key))
#endif

/* ---- 3 the operations ----------------------------------------------------------------------- */

/* What each operation gets beside its arguments. A plugin that blocks needs neither the storage nor
 * the future: both are for operations that answer HOLDALL_PENDING. */
#define UNUSED(storage, cx, fut) ((void)(storage), (void)(cx), (void)(fut))

/* The configuration is JSON that the host has checked against `config_schema` below, so that little
 * can be wrong. A plugin with more than one field will want a JSON library here. */
static bool parse_config(HoldallFfiSlice config, uint64_t *max_objects) {
  char json[128] = "", rest = 0;
  unsigned long long number = 0;
  if (config.len >= sizeof json)
    return false;
  if (config.len)
    memcpy(json, config.ptr, config.len);
  /* A space in a format stands for any white space, also for none. */
  if (sscanf(json, " { %c %c", &rest, &(char){0}) == 1 && rest == '}')
    return true;
  int end = 0;
  if (sscanf(json, " { \"max_objects\" : %19llu } %n", &number, &end) == 1 && end > 0 &&
      json[end] == 0 && number >= 1 && number <= 1000000000) {
    *max_objects = number;
    return true;
  }
  return false;
}

static HoldallStatus open_store(const void *backend, const HoldallOpenArgs *args, void *storage,
                                const HoldallFfiContext *cx, HoldallOpenOut *out,
                                HoldallFfiError *err, HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  (void)backend; /* There is none yet. */
  uint64_t max_objects = UINT64_MAX;
  if (!parse_config(args->config, &max_objects))
    return fail(err, HOLDALL_KIND_CONFIG_INVALID,
                "{} or {\"max_objects\": N} with N from 1 to 1000000000 expected");
  struct store *store = take(sizeof *store);
  if (!store)
    return fail(err, HOLDALL_KIND_STORAGE_ERROR, "out of memory");
  if (pthread_mutex_init(&store->lock, NULL) != 0) {
    give_back(store);
    return fail(err, HOLDALL_KIND_STORAGE_ERROR, "no mutex");
  }
  store->max_objects = max_objects;
  /* The services live as long as the process. Their table may be longer than we know, or, from an
   * older host, shorter: what is missing stays null. All that is used here is in the first one. */
  size_t known = args->services->size;
  memcpy(&store->host, args->services, known < sizeof store->host ? known : sizeof store->host);
  HoldallOpenOut opened = {
      .size = sizeof opened,
      .backend = store,
      .operations = SERVED,
      .capabilities = CAPABILITIES,
      .max_object_size = UINT64_MAX,
      .max_conditional_size = UINT64_MAX,
      .max_metadata_bytes = 2048,
      .max_page = 1000,
      .buffer_bytes = UINT64_C(8) << 20,
      .description = text("memory of this process, in C"),
  };
  /* The smaller minor of both sides: nothing newer is claimed. */
  if (args->effective_minor >= 1) {
    opened.operations |= SERVED_SINCE_1_1;
    opened.capabilities_2 = CAPABILITIES_2;
  }
  FILL(out, opened);
  return HOLDALL_READY;
}

static void drop_uploads(struct store *store);

/* Called once, after the last operation and the last body. */
static void drop_store(const void *backend) {
  struct store *store = (struct store *)backend;
  for (size_t i = 0; i < store->count; i++)
    unshare(store->objects[i]);
  free(store->objects);
  drop_uploads(store);
  pthread_mutex_destroy(&store->lock);
  give_back(store);
}

/* Reads a body to its end into memory. The body is dropped by the caller of this function. */
static HoldallStatus read_body(HoldallFfiStream *body, const HoldallFfiContext *cx,
                               uint64_t expected, struct object *object, HoldallFfiError *err) {
  uint64_t room = 0;
  for (;;) {
    HoldallFfiBytes chunk = {0};
    HoldallFfiTrailers end = {.size = sizeof end};
    /* `err` goes along: when the source fails, its own error is what our caller shall see. */
    HoldallStatus status = body->table->poll_next(&body->words, cx, &chunk, &end, err);
    if (status == HOLDALL_END) {
      object->checksums_known = end.known & 1;
      object->crc32c = end.crc32c;
      return HOLDALL_READY;
    }
    if (status != HOLDALL_READY)
      return status; /* FAILED or PANICKED, with `err` filled. */
    if (object->size + chunk.len > room) {
      room = object->size + chunk.len > room * 2 ? object->size + chunk.len : room * 2;
      /* A stated length spares the growing, but is not trusted with the memory of the machine. */
      if (expected != UINT64_MAX && expected > room && expected <= UINT64_C(64) << 20)
        room = expected;
      uint8_t *bytes = realloc(object->bytes, room);
      if (bytes) {
        live += !object->bytes;
        object->bytes = bytes;
      } else {
        status = fail(err, HOLDALL_KIND_QUOTA_EXCEEDED, "out of memory");
      }
    }
    if (status == HOLDALL_READY && chunk.len) {
      memcpy(object->bytes + object->size, chunk.ptr, chunk.len);
      object->size += chunk.len;
    }
    if (chunk.release)
      chunk.release(&chunk.owner);
    if (status != HOLDALL_READY)
      return status;
  }
}

static HoldallStatus upload(const void *backend, const HoldallUploadArgs *args, void *storage,
                            const HoldallFfiContext *cx, HoldallUploadOut *out,
                            HoldallFfiError *err, HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->key);
  HoldallFfiStream body = args->body; /* Ours now, so it is dropped on every path. */
  bool create_only = args->options && args->options->create_only;
  HoldallFfiSlice type = {0};
  if (args->options)
    type = args->options->content_type;

  HoldallStatus status = HOLDALL_READY;
  struct object *object = new_object(args->key, type);
  if (!object)
    status = fail(err, HOLDALL_KIND_QUOTA_EXCEEDED, "out of memory");
  if (status == HOLDALL_READY && create_only) {
    /* Known to fail already: no need to read. `publish` decides; this is only kinder. */
    struct store *store = locked(backend);
    bool exists = is_at(store, position(store, object->key), object->key);
    unlock(store);
    if (exists)
      status = fail(err, HOLDALL_KIND_PRECONDITION_FAILED, "the key exists");
  }
  if (status == HOLDALL_READY)
    status = read_body(&body, cx, args->length, object, err);
  body.table->drop(&body.words);
  if (status == HOLDALL_READY) {
    struct store *store = locked(backend);
    status = publish(store, object, create_only, err);
    unlock(store);
  }
  if (status == HOLDALL_READY) {
    /* The answer keeps a share of the object, because `etag` points into it. */
    HoldallUploadOut stored = {
        .size = sizeof stored,
        .bytes = object->size,
        .etag = text(object->etag),
        .last_modified_ns = object->modified_ns,
        .checksums_known = object->checksums_known,
        .crc32c = object->crc32c,
        .owner = object,
        .release = unshare,
    };
    FILL(out, stored);
    return HOLDALL_READY;
  }
  unshare(object);
  return status;
}

static HoldallObjectOut facts(const struct object *object) {
  return (HoldallObjectOut){
      .size = sizeof(HoldallObjectOut),
      .bytes = object->size,
      .etag = text(object->etag),
      .content_type = object->content_type,
      .last_modified_ns = object->modified_ns,
      .checksums_known = object->checksums_known,
      .crc32c = object->crc32c,
  };
}

/* A download: the answer, and the body that outlives it. */
struct reader {
  struct object *object;
  uint64_t at, end;
  uint32_t chunk;
};

static void release_chunk(void *(*owner)[4]) { unshare((*owner)[0]); }

static HoldallStatus next_chunk(void *(*words)[5], const HoldallFfiContext *cx,
                                HoldallFfiBytes *out, HoldallFfiTrailers *end,
                                HoldallFfiError *err) {
  (void)cx, (void)err;
  hook(text(""));
  struct reader *reader = (*words)[0];
  uint64_t len = reader->end - reader->at;
  if (len == 0) {
    HoldallFfiTrailers nothing = {.size = sizeof nothing, .bytes = UINT64_MAX};
    FILL(end, nothing);
    return HOLDALL_END;
  }
  if (len > reader->chunk)
    len = reader->chunk;
  /* No copy: the chunk is a part of the object, and holds a share of it. */
  *out = (HoldallFfiBytes){.ptr = reader->object->bytes + reader->at,
                           .len = len,
                           .owner = {share(reader->object)},
                           .release = release_chunk};
  reader->at += len;
  return HOLDALL_READY;
}

static void drop_reader(void *(*words)[5]) {
  hook(text(""));
  struct reader *reader = (*words)[0];
  unshare(reader->object);
  give_back(reader);
}

static const HoldallStreamTable READER = {
    .size = sizeof READER, .poll_next = next_chunk, .drop = drop_reader};

struct download_answer {
  struct object *object;
  HoldallObjectOut facts;
};

static void release_download(void *owner) {
  struct download_answer *answer = owner;
  unshare(answer->object);
  give_back(answer);
}

/* The bytes that are asked for; an end past the object is cut to its size. */
static bool range_of(const HoldallDownloadArgs *args, uint64_t size, uint64_t *start,
                     uint64_t *end) {
  *start = 0, *end = size;
  switch (args->range_kind) {
  case 0:
    return true;
  case 1:
    *start = args->range_a;
    *end = args->range_b < size ? args->range_b : size;
    break;
  case 2:
    *start = args->range_a;
    break;
  case 3:
    *start = args->range_a < size ? size - args->range_a : 0;
    break;
  }
  return *start < *end;
}

static HoldallStatus download(const void *backend, const HoldallDownloadArgs *args, void *storage,
                              const HoldallFfiContext *cx, HoldallDownloadOut *out,
                              HoldallFfiError *err, HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->key);
  if (args->range_kind > 3)
    return fail(err, HOLDALL_KIND_UNSUPPORTED, "this kind of range");
  struct object *object;
  HoldallStatus status = find(backend, args->key, &object, err);
  if (status != HOLDALL_READY)
    return status;
  uint64_t start, end;
  if (!range_of(args, object->size, &start, &end)) {
    uint64_t size = object->size;
    unshare(object);
    return fail_with_number(err, HOLDALL_KIND_INVALID_RANGE, "the range begins past the object",
                            "size", size);
  }
  struct download_answer *answer = take(sizeof *answer);
  struct reader *reader = take(sizeof *reader);
  if (!answer || !reader) {
    give_back(answer);
    give_back(reader);
    unshare(object);
    return fail(err, HOLDALL_KIND_STORAGE_ERROR, "out of memory");
  }
  *reader = (struct reader){share(object), start, end, args->chunk_hint};
  *answer = (struct download_answer){object, facts(object)};
  HoldallDownloadOut found = {
      .size = sizeof found,
      .object = &answer->facts,
      .range_start = start,
      .range_end = end,
      .body = {.words = {reader}, .table = &READER},
      .owner = answer,
      .release = release_download,
  };
  FILL(out, found);
  return HOLDALL_READY;
}

static HoldallStatus head(const void *backend, const HoldallHeadArgs *args, void *storage,
                          const HoldallFfiContext *cx, HoldallObjectOut *out, HoldallFfiError *err,
                          HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->key);
  struct object *object;
  HoldallStatus status = find(backend, args->key, &object, err);
  if (status != HOLDALL_READY)
    return status;
  HoldallObjectOut found = facts(object);
  found.owner = object;
  found.release = unshare;
  FILL(out, found);
  return HOLDALL_READY;
}

static HoldallStatus exists(const void *backend, const HoldallExistsArgs *args, void *storage,
                            const HoldallFfiContext *cx, HoldallExistsOut *out,
                            HoldallFfiError *err, HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->key);
#ifdef HOLDALL_TEST
  if (pending_exists(args->key, storage, cx, fut))
    return HOLDALL_PENDING;
#endif
  struct store *store = locked(backend);
  bool is_closed = store->closed;
  bool found = is_at(store, position(store, args->key), args->key);
  unlock(store);
  if (is_closed)
    return closed(err);
  HoldallExistsOut answer = {.size = sizeof answer, .exists = found};
  FILL(out, answer);
  return HOLDALL_READY;
}

static HoldallStatus delete(const void *backend, const HoldallDeleteArgs *args, void *storage,
                            const HoldallFfiContext *cx, HoldallDeleteOut *out,
                            HoldallFfiError *err, HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->key);
  struct store *store = locked(backend);
  bool is_closed = store->closed;
  struct object *removed = NULL;
  size_t at = position(store, args->key);
  if (!is_closed && is_at(store, at, args->key)) {
    removed = store->objects[at];
    store->count--;
    memmove(store->objects + at, store->objects + at + 1,
            (store->count - at) * sizeof *store->objects);
  }
  unlock(store);
  if (is_closed)
    return closed(err);
  if (!removed && args->must_exist)
    return fail(err, HOLDALL_KIND_FILE_NOT_FOUND, "no object has this key");
  HoldallDeleteOut answer = {.size = sizeof answer, .existed = removed ? 2 : 1};
  unshare(removed);
  FILL(out, answer);
  return HOLDALL_READY;
}

/* A store without HTTP of its own leaves signing to the host. */
static HoldallStatus signed_url(const void *backend, const HoldallSignArgs *args, void *storage,
                                const HoldallFfiContext *cx, HoldallSignOut *out,
                                HoldallFfiError *err, HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  if (args->must_exist) {
    struct object *object;
    HoldallStatus status = find(backend, args->key, &object, err);
    if (status != HOLDALL_READY)
      return status;
    unshare(object);
  }
  HoldallSignOut answer = {.size = sizeof answer, .at_gateway = 1};
  FILL(out, answer);
  return HOLDALL_READY;
}

/* A page and all that it points to: a share of each thing whose texts its items show. */
struct page {
  size_t held_count;
  void **held;
  void (*unshare)(void *);
  void *items;
  HoldallFfiSlice *prefixes;
  uint8_t *next;
};

static void release_page(void *owner) {
  struct page *page = owner;
  for (size_t i = 0; i < page->held_count; i++)
    page->unshare(page->held[i]);
  give_back(page->held);
  give_back(page->items);
  give_back(page->prefixes);
  give_back(page->next);
  give_back(page);
}

/* Room for `limit` items, or null. */
static struct page *new_page(uint32_t limit, size_t item_bytes, void (*unshare)(void *)) {
  struct page *page = take(sizeof *page);
  if (!page)
    return NULL;
  page->unshare = unshare;
  page->held = take(limit * sizeof *page->held);
  page->items = take(limit * item_bytes);
  page->prefixes = take(limit * sizeof *page->prefixes);
  if (page->held && page->items && page->prefixes)
    return page;
  release_page(page);
  return NULL;
}

/* Says that there is more: the token of the next page is these two texts. */
static bool set_next(struct page *page, HoldallFfiSlice first, HoldallFfiSlice second,
                     HoldallFfiSlice *next) {
  page->next = take(first.len + second.len);
  if (!page->next)
    return false;
  memcpy(page->next, first.ptr, first.len);
  if (second.len)
    memcpy(page->next + first.len, second.ptr, second.len);
  *next = (HoldallFfiSlice){page->next, first.len + second.len};
  return true;
}

static HoldallStatus foreign_token(HoldallFfiError *err) {
  return fail(err, HOLDALL_KIND_INVALID_ARGUMENT, "this page token is not of this store");
}

/* The common prefix of a key, with the delimiter; false when the key stands for itself. */
static bool common_prefix(HoldallFfiSlice key, const HoldallListArgs *args,
                          HoldallFfiSlice *common) {
  HoldallFfiSlice delimiter = args->delimiter;
  for (size_t at = args->prefix.len; delimiter.len && at + delimiter.len <= key.len; at++)
    if (memcmp(key.ptr + at, delimiter.ptr, delimiter.len) == 0) {
      *common = (HoldallFfiSlice){key.ptr, at + delimiter.len};
      return true;
    }
  return false;
}

/* Fills a page; `page` has room for `limit` items. Called with the lock. */
static bool list_locked(struct store *store, const HoldallListArgs *args, struct page *page,
                        HoldallListOut *out) {
  /* A token is what the page before ended with: `k` and a key, or `p` and a common prefix. It stays
   * right when objects come and go in between. */
  HoldallFfiSlice token = args->page_token, last = {0};
  bool after_prefix = false;
  if (token.len) {
    after_prefix = token.ptr[0] == 'p';
    last = (HoldallFfiSlice){token.ptr + 1, token.len - 1};
  }
  HoldallFfiSlice from = args->prefix;
  if (last.ptr && compare(last, from) > 0)
    from = last;
  if (args->start_after.ptr && compare(args->start_after, from) > 0)
    from = args->start_after;

  HoldallFfiEntry *entries = page->items;
  HoldallFfiSlice shown = after_prefix ? last : (HoldallFfiSlice){0};
  for (size_t at = position(store, from); at < store->count; at++) {
    struct object *object = store->objects[at];
    HoldallFfiSlice common;
    if (!starts_with(object->key, args->prefix))
      break;
    if (last.ptr && !after_prefix && compare(object->key, last) <= 0)
      continue;
    if (args->start_after.ptr && compare(object->key, args->start_after) <= 0)
      continue;
    if (shown.ptr && starts_with(object->key, shown))
      continue;
    if (page->held_count == args->limit) {
      /* There is more. The token names what this page ended with. */
      struct object *ended = page->held[page->held_count - 1];
      bool with_prefix = common_prefix(ended->key, args, &common);
      return set_next(page, text(with_prefix ? "p" : "k"), with_prefix ? common : ended->key,
                      &out->next);
    }
    page->held[page->held_count++] = share(object);
    if (common_prefix(object->key, args, &common)) {
      page->prefixes[out->prefix_count++] = shown = common;
    } else {
      entries[out->entry_count++] = (HoldallFfiEntry){.key = object->key,
                                                      .bytes = object->size,
                                                      .etag = text(object->etag),
                                                      .last_modified_ns = object->modified_ns};
    }
  }
  return true;
}

static HoldallStatus list(const void *backend, const HoldallListArgs *args, void *storage,
                          const HoldallFfiContext *cx, HoldallListOut *out, HoldallFfiError *err,
                          HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->prefix);
  if (args->limit == 0 || args->limit > 1000)
    return fail(err, HOLDALL_KIND_INVALID_ARGUMENT, "a page has 1 to 1000 entries");
  if (args->page_token.ptr && (args->page_token.len == 0 || (args->page_token.ptr[0] != 'k' &&
                                                             args->page_token.ptr[0] != 'p')))
    return foreign_token(err);
  struct page *page = new_page(args->limit, sizeof(HoldallFfiEntry), unshare);
  if (!page)
    return fail(err, HOLDALL_KIND_STORAGE_ERROR, "out of memory");
  HoldallListOut answer = {
      .size = sizeof answer,
      .entries = page->items,
      .entry_size = sizeof(HoldallFfiEntry),
      .prefixes = page->prefixes,
      .owner = page,
      .release = release_page,
  };
  struct store *store = locked(backend);
  bool is_closed = store->closed;
  bool complete = is_closed || list_locked(store, args, page, &answer);
  unlock(store);
  if (complete && !is_closed) {
    FILL(out, answer);
    return HOLDALL_READY;
  }
  release_page(page);
  return is_closed ? closed(err) : fail(err, HOLDALL_KIND_STORAGE_ERROR, "out of memory");
}

static HoldallStatus health(const void *backend, const HoldallEmptyArgs *args, void *storage,
                            const HoldallFfiContext *cx, HoldallHealthOut *out,
                            HoldallFfiError *err, HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  (void)args;
  struct store *store = locked(backend);
  bool is_closed = store->closed;
  unlock(store);
  if (is_closed)
    return closed(err);
  HoldallHealthOut answer = {.size = sizeof answer, .healthy = 1, .message = text("in memory")};
#ifdef HOLDALL_TEST
  char *message = malloc(32);
  if (message) {
    report(message, 32);
    answer.message = text(message);
    answer.owner = message;
    answer.release = free;
  }
#endif
  FILL(out, answer);
  return HOLDALL_READY;
}

/* May be called twice. What runs ends by itself, and everything later fails cleanly. */
static HoldallStatus shutdown(const void *backend, const HoldallEmptyArgs *args, void *storage,
                              const HoldallFfiContext *cx, HoldallEmptyOut *out,
                              HoldallFfiError *err, HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  (void)args, (void)err;
  struct store *store = locked(backend);
  store->closed = true;
  unlock(store);
  HoldallEmptyOut answer = {.size = sizeof answer};
  FILL(out, answer);
  return HOLDALL_READY;
}

#include "parts.c"
#include "ranges.c"

/* ---- 4 the descriptor ----------------------------------------------------------------------- */

static const HoldallBackendTable OPERATIONS = {
    .size = sizeof OPERATIONS,
    .drop = drop_store,
    .start_upload = upload,
    .start_download = download,
    .start_delete = delete,
    .start_exists = exists,
    .start_signed_url = signed_url,
    .start_head = head,
    .start_list = list,
    .start_health = health,
    .start_shutdown = shutdown,
    .start_create_upload = create_upload,
    .start_put_part = put_part,
    .start_list_parts = list_parts,
    .start_list_uploads = list_uploads,
    .start_complete_upload = complete_upload,
    .start_abort_upload = abort_upload,
    .start_download_ranges = download_ranges,
};

#define JSON                                                                                       \
  "{\"name\":\"" NAME "\",\"version\":\"0.1.0\",\"schemes\":[\"" NAME "\"],"                       \
  "\"entry\":\"" HOLDALL_ENTRY_PREFIX NAME "\","                                                   \
  "\"summary\":\"Objects in memory: an example in C\",\"license\":\"MIT OR Apache-2.0\","          \
  "\"language\":\"C\",\"config_schema\":{\"type\":\"object\",\"additionalProperties\":false,"      \
  "\"properties\":{\"max_objects\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000000000,"    \
  "\"description\":\"Most objects that the store holds.\"}}}}"

/* Each store has a lock, so any number of operations may come at once. A library that is not
 * thread-safe says 1 here: the host keeps the others waiting outside. */
#ifndef MAX_IN_FLIGHT
#define MAX_IN_FLIGHT 0
#endif

/* Plain bytes in a section of their own: the host judges the file by them without running it. The
 * zero that ends the JSON is padding, and allowed. */
static const struct {
  HoldallHeader header;
  uint64_t fingerprints[HOLDALL_FINGERPRINT_COUNT][2];
  char json[sizeof JSON];
} DESCRIPTOR __attribute__((section(HOLDALL_SECTION), used)) = {
    .header = {.magic = "HOLDALL",
               .descriptor_version = HOLDALL_DESCRIPTOR_VERSION,
               .abi_major = HOLDALL_ABI_MAJOR,
               .abi_minor = HOLDALL_ABI_MINOR,
               .min_host_minor = 0,
               .flags = HOLDALL_ABI_FLAGS | HOLDALL_FLAG_BLOCKING,
               .fingerprint_count = HOLDALL_FINGERPRINT_COUNT,
               .operations = SERVED | SERVED_SINCE_1_1,
               .capabilities = CAPABILITIES,
               .capabilities_2 = CAPABILITIES_2,
               .json_len = sizeof JSON - 1,
               .max_in_flight = MAX_IN_FLIGHT},
    .fingerprints = HOLDALL_FINGERPRINTS,
    .json = JSON,
};

static const HoldallPluginTable PLUGIN = {
    .size = sizeof PLUGIN,
    .abi_major = HOLDALL_ABI_MAJOR,
    .abi_minor = HOLDALL_ABI_MINOR,
    .descriptor = {(const uint8_t *)&DESCRIPTOR,
                   sizeof DESCRIPTOR.header + sizeof DESCRIPTOR.fingerprints + sizeof JSON - 1},
    .open = open_store,
    .ops = &OPERATIONS,
};

/* The one symbol that a plugin exports: the prefix, then its name. */
__attribute__((visibility("default"))) const HoldallPluginTable *holdall_plugin_v1_cmemory(void);

const HoldallPluginTable *holdall_plugin_v1_cmemory(void) { return &PLUGIN; }
