/* A host as small as it gets, in C: maps a plugin's file and drives it with tables of another size than
 * the plugin knows. For case A-03 of the conformance kit.
 *
 *   host FILE SYMBOL CONFIG CHANGE
 *
 * CHANGE is how many bytes every table that goes to the plugin is longer (a later minor of the ABI) or
 * shorter than it should be. Longer ones change nothing for the plugin, whatever stands in the bytes
 * that it does not know. Shorter than the first version is a breach by the host: the plugin may refuse
 * or serve, but stays whole, and serves when it is asked properly. Says what went wrong, and ends with 1.
 */
#define _DEFAULT_SOURCE
#include "holdall.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 256, CANARY = 0xA5 };

_Noreturn static void wrong(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(1);
}

/* The plugin is of a later minor than this host: it knows fields behind ours. Where a table says that
 * it is longer, they are there for it to read, absent, and to write. */
static int later;

/* A table with bytes behind it that a plugin must not read anything into, nor write. */
#define TABLE(Type, name, change)                                                                  \
  union {                                                                                          \
    Type table;                                                                                    \
    unsigned char bytes[sizeof(Type) + ROOM];                                                      \
  } name;                                                                                          \
  memset(&name, CANARY, sizeof name);                                                              \
  memset(&name.table, 0, sizeof name.table);                                                       \
  if (later && (change) > 0)                                                                       \
    memset(name.bytes + sizeof(Type), 0, (size_t)(change));                                        \
  name.table.size = sizeof(Type) + (change)

#define WHOLE(name)                                                                                \
  do {                                                                                             \
    for (size_t at = sizeof name.table + (later ? MORE : 0); at < sizeof name; at++)               \
      if (name.bytes[at] != CANARY)                                                                \
        wrong("the plugin wrote behind " #name);                                                   \
  } while (0)

static HoldallFfiSlice text(const char *text) {
  return (HoldallFfiSlice){(const uint8_t *)text, strlen(text)};
}

/* ---- what a plugin gets from its host ------------------------------------------------------- */

static uint64_t monotonic(const void *host) {
  struct timespec now;
  (void)host;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int64_t unix_time(const void *host) {
  struct timespec now;
  (void)host;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void fill_random(const void *host, uint8_t *out, size_t len) {
  (void)host;
  for (size_t at = 0; at < len; at++)
    out[at] = (uint8_t)rand();
}

/* No thread sleeps until a waker calls: this host polls. */
static void no_wake(const void *const (*data)[2]) { (void)data; }
static void no_drop(const void *(*data)[2]) { (void)data; }
static HoldallFfiWaker another(const void *const (*data)[2]);
static const HoldallFfiWakerTable WAKER = {another, no_wake, no_drop};
static HoldallFfiWaker another(const void *const (*data)[2]) {
  (void)data;
  return (HoldallFfiWaker){.table = &WAKER};
}

/* One chunk, then the end. */
static int chunks, bodies_dropped;

static HoldallStatus next_chunk(void *(*words)[5], const HoldallFfiContext *cx,
                                HoldallFfiBytes *out, HoldallFfiTrailers *end,
                                HoldallFfiError *err) {
  (void)words, (void)cx, (void)err;
  if (chunks++ == 0) {
    *out = (HoldallFfiBytes){.ptr = (const uint8_t *)"hello", .len = 5};
    return HOLDALL_READY;
  }
  HoldallFfiTrailers nothing = {.size = end->size, .bytes = UINT64_MAX};
  memcpy(end, &nothing, end->size < sizeof nothing ? end->size : sizeof nothing);
  return HOLDALL_END;
}

static void drop_body(void *(*words)[5]) {
  (void)words;
  bodies_dropped++;
}

static const HoldallStreamTable BODY = {
    .size = sizeof BODY, .poll_next = next_chunk, .drop = drop_body};

/* ---- one operation --------------------------------------------------------------------------- */

static const void *const NO_DATA[2];
static const HoldallFfiContext CX = {.data = &NO_DATA, .table = &WAKER};

static HoldallStatus finish(HoldallStatus status, HoldallFfiFuture *fut, void *storage, void *out,
                            HoldallFfiError *err) {
  void *state = NULL;
  int pending = status == HOLDALL_PENDING;
  for (int polls = 0; status == HOLDALL_PENDING; polls++) {
    if (polls == 60000)
      wrong("an operation is pending without end");
    usleep(1000);
    state = fut->boxed ? fut->boxed : storage;
    status = fut->poll(state, &CX, out, err);
  }
  if (pending)
    fut->drop(state);
  return status;
}

/* `CALL(slot, backend, args, out)`: its status; an error is released. */
#define CALL(slot, backend, args, out)                                                             \
  __extension__({                                                                                  \
    _Alignas(16) unsigned char storage[HOLDALL_STORAGE_BYTES];                                     \
    HoldallFfiFuture fut = {0};                                                                    \
    TABLE(HoldallFfiError, err, change > 0 ? change : 0);                                          \
    HoldallStatus status = (slot)(backend, &args.table, storage, &CX, &out.table, &err.table, &fut); \
    status = finish(status, &fut, storage, &out, &err.table);                                      \
    if (status == HOLDALL_FAILED && err.table.release)                                             \
      err.table.release(err.table.owner);                                                          \
    if (status != HOLDALL_READY && status != HOLDALL_FAILED)                                       \
      wrong(#slot " answered %d", status);                                                         \
    WHOLE(err);                                                                                    \
    WHOLE(out);                                                                                    \
    status;                                                                                        \
  })

/* How much longer a table is that the plugin fills: it may not be shorter. */
#define MORE (change > 0 ? change : 0)

static long change;

static HoldallStatus exists(const HoldallPluginTable *plugin, const void *backend, const char *key,
                            long change_of_args, int *found) {
  TABLE(HoldallExistsArgs, args, change_of_args);
  TABLE(HoldallExistsOut, out, MORE);
  args.table.key = text(key);
  HoldallStatus status = CALL(plugin->ops->start_exists, backend, args, out);
  *found = out.table.exists != 0;
  return status;
}

static HoldallStatus open_with(const HoldallPluginTable *plugin, const HoldallHostServices *services,
                               const char *config, long change_of_args, const void **backend) {
  TABLE(HoldallOpenArgs, args, change_of_args);
  TABLE(HoldallOpenOut, out, MORE);
  args.table.config = text(config);
  args.table.backend_name = text("kit");
  args.table.services = services;
  HoldallStatus status = CALL(plugin->open, NULL, args, out);
  /* `effective_minor` is 0 here: whatever the plugin can do, it claims nothing that is newer. */
  if (status == HOLDALL_READY &&
      (out.table.operations >= HOLDALL_OP_CREATE_UPLOAD || out.table.capabilities_2))
    wrong("for a host of 1.0 the instance claims operations %llx and capabilities_2 %llx",
          (unsigned long long)out.table.operations, (unsigned long long)out.table.capabilities_2);
  *backend = status == HOLDALL_READY ? out.table.backend : NULL;
  if (status == HOLDALL_READY && out.table.release)
    out.table.release(out.table.owner);
  return status;
}

static void use(const HoldallPluginTable *plugin, const void *backend, long change_of_args) {
  int found = 1, served = change_of_args >= 0;
  HoldallStatus status = exists(plugin, backend, "kit/a", change_of_args, &found);
  if (served && (status != HOLDALL_READY || found))
    wrong("exists before the upload: status %d, found %d", status, found);
  if (!served)
    return; /* What a plugin does with a body that it cannot read is the host's own fault. */

  TABLE(HoldallUploadArgs, upload, change_of_args);
  TABLE(HoldallUploadOut, uploaded, MORE);
  upload.table.key = text("kit/a");
  upload.table.length = 5;
  upload.table.body = (HoldallFfiStream){.table = &BODY};
  chunks = bodies_dropped = 0;
  status = CALL(plugin->ops->start_upload, backend, upload, uploaded);
  if (status != HOLDALL_READY || uploaded.table.bytes != 5)
    wrong("upload: status %d, %llu bytes", status, (unsigned long long)uploaded.table.bytes);
  if (uploaded.table.release)
    uploaded.table.release(uploaded.table.owner);
  if (bodies_dropped != 1)
    wrong("the body was dropped %d times", bodies_dropped);
  if (exists(plugin, backend, "kit/a", change_of_args, &found) != HOLDALL_READY || !found)
    wrong("what was uploaded is not there");

  TABLE(HoldallDownloadArgs, download, change_of_args);
  TABLE(HoldallDownloadOut, got, MORE);
  download.table.key = text("kit/a");
  download.table.chunk_hint = 65536;
  if (CALL(plugin->ops->start_download, backend, download, got) != HOLDALL_READY)
    wrong("download failed");
  if (got.table.release)
    got.table.release(got.table.owner);
  char bytes[6] = "";
  size_t have = 0;
  HoldallFfiStream body = got.table.body;
  for (;;) {
    HoldallFfiBytes chunk = {0};
    TABLE(HoldallFfiTrailers, end, MORE);
    TABLE(HoldallFfiError, err, MORE);
    status = body.table->poll_next(&body.words, &CX, &chunk, &end.table, &err.table);
    WHOLE(end);
    WHOLE(err);
    if (status == HOLDALL_PENDING) {
      usleep(1000);
      continue;
    }
    if (status != HOLDALL_READY)
      break;
    if (have + chunk.len < sizeof bytes)
      memcpy(bytes + have, chunk.ptr, chunk.len);
    have += chunk.len;
    if (chunk.release)
      chunk.release(&chunk.owner);
  }
  body.table->drop(&body.words);
  if (status != HOLDALL_END || have != 5 || strcmp(bytes, "hello"))
    wrong("the body ended with %d after %zu bytes: %s", status, have, bytes);

  TABLE(HoldallDeleteArgs, delete, change_of_args);
  TABLE(HoldallDeleteOut, deleted, MORE);
  delete.table.key = text("kit/a");
  if (CALL(plugin->ops->start_delete, backend, delete, deleted) != HOLDALL_READY)
    wrong("delete failed");
  if (deleted.table.release)
    deleted.table.release(deleted.table.owner);
  if (exists(plugin, backend, "kit/a", change_of_args, &found) != HOLDALL_READY || found)
    wrong("what was deleted is still there");
}

int main(int count, char **words) {
  if (count != 5)
    wrong("usage: host FILE SYMBOL CONFIG CHANGE");
  change = strtol(words[4], NULL, 10);
  void *library = dlopen(words[1], RTLD_NOW | RTLD_LOCAL);
  if (!library)
    wrong("%s", dlerror());
  const HoldallPluginTable *(*entry)(void);
  *(void **)&entry = dlsym(library, words[2]);
  if (!entry)
    wrong("%s", dlerror());
  const HoldallPluginTable *plugin = entry();
  later = plugin->abi_minor > HOLDALL_ABI_MINOR;

  /* Services outlive the plugin, whose threads may use them: they are never freed. */
  unsigned char *room = malloc(sizeof(HoldallHostServices) + ROOM);
  HoldallHostServices *services = (HoldallHostServices *)room;
  memset(room, later ? 0 : CANARY, sizeof(HoldallHostServices) + ROOM);
  *services = (HoldallHostServices){.size = sizeof *services + (size_t)MORE,
                                    .monotonic_ns = monotonic,
                                    .unix_ns = unix_time,
                                    .random = fill_random};
  const void *backend = NULL;
  HoldallStatus status = open_with(plugin, services, words[3], change, &backend);
  if (change >= 0 && status != HOLDALL_READY)
    wrong("open failed");
  if (!backend && open_with(plugin, services, words[3], 0, &backend) != HOLDALL_READY)
    wrong("open failed although its tables are whole");
  use(plugin, backend, change);
  if (change < 0)
    use(plugin, backend, 0);
  plugin->ops->drop(backend);
  return 0;
}
