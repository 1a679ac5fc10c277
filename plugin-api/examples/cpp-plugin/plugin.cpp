/* A Holdall plugin in C++20: objects in memory, nothing else.
 *
 *   g++ -std=c++20 -Wall -Wextra -Wno-missing-field-initializers -shared -fPIC -fvisibility=hidden -I ../../include plugin.cpp \
 *       -o libholdall_plugin_cppmemory.so
 *
 * The comment at the top of holdall.h has the rules of the boundary. Beside them, for C++:
 *
 *   - No exception may leave a function of the tables. Each is wrapped by `guarded`, which turns one into an
 *     error.
 *   - The tables are plain structs: what they own is kept by a `std::shared_ptr` behind `owner`, and ends in
 *     `release`.
 *   - The descriptor says HOLDALL_FLAG_BLOCKING, so that each function may block, and HOLDALL_PENDING is never
 *     answered.
 *
 * Lines to change are marked with CHANGE.
 */

#include "holdall.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#define NAME "cppmemory" /* CHANGE: also in the entry function at the end */

namespace {

/* CHANGE: what is served (the slots that are filled below) and what is promised. The host refuses the rest. */
constexpr uint64_t SERVED = HOLDALL_OP_UPLOAD | HOLDALL_OP_DOWNLOAD | HOLDALL_OP_DELETE |
                            HOLDALL_OP_EXISTS | HOLDALL_OP_SIGNED_URL | HOLDALL_OP_HEAD |
                            HOLDALL_OP_LIST;
constexpr uint64_t CAPABILITIES = HOLDALL_CAP_ATOMIC_PUT | HOLDALL_CAP_CREATE_ONLY |
                                  HOLDALL_CAP_SUFFIX | HOLDALL_CAP_UNKNOWN_LENGTH |
                                  HOLDALL_CAP_ORDERED_LIST | HOLDALL_CAP_START_AFTER |
                                  HOLDALL_CAP_ANY_DELIMITER | HOLDALL_CAP_ANY_KEY |
                                  HOLDALL_CAP_KEY_AND_PREFIX | HOLDALL_CAP_CASE_SENSITIVE |
                                  HOLDALL_CAP_UNICODE_EXACT | HOLDALL_CAP_EXACT_DELETE;

/* ---- helpers -------------------------------------------------------------------------------- */

std::string_view view(HoldallFfiSlice text) {
  return {reinterpret_cast<const char *>(text.ptr), text.ptr ? text.len : 0};
}

constexpr HoldallStatus status(int number) { return static_cast<HoldallStatus>(number); }

/* Lent: what it points to must live until the answer is released. */
HoldallFfiSlice slice(std::string_view text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

/* The first word of an answer says how much room the host has, then how much is filled. */
template <typename T> void fill(T *out, T value) {
  size_t room = out->size;
  value.size = std::min(room, sizeof value);
  std::memcpy(static_cast<void *>(out), &value, value.size);
}

/* An error: a kind to act on, a message for clients, and at most one fact. */
struct Failure {
  uint32_t kind;
  const char *message;
  const char *fact = nullptr;
  uint64_t number = 0;
};

struct OwnedFact {
  HoldallFfiPair pair;
  std::string digits;
};

HoldallStatus tell(HoldallFfiError *err, const Failure &failure) {
  HoldallFfiError error{};
  error.kind = failure.kind;
  error.message = slice(failure.message);
  if (failure.fact) {
    auto *owned = new (std::nothrow) OwnedFact{{}, std::to_string(failure.number)};
    if (owned) {
      owned->pair = {slice(failure.fact), slice(owned->digits)};
      error.facts = {&owned->pair, 1};
      error.owner = owned;
      error.release = [](void *owner) { delete static_cast<OwnedFact *>(owner); };
    }
  }
  fill(err, error);
  return HOLDALL_FAILED;
}

/* Runs an operation; what it throws becomes an error. */
template <typename F> HoldallStatus guarded(HoldallFfiError *err, F &&operation) noexcept {
  try {
    return operation();
  } catch (const Failure &failure) {
    return tell(err, failure);
  } catch (const std::bad_alloc &) {
    return tell(err, {HOLDALL_KIND_QUOTA_EXCEEDED, "out of memory"});
  } catch (...) {
    return tell(err, {HOLDALL_KIND_PLUGIN_FAULT, "an exception of the plugin"});
  }
}

/* ---- the store: CHANGE ---------------------------------------------------------------------- */

/* Never changes once it is published; a reader keeps the one that it began with. */
struct Object {
  std::string bytes;
  std::string etag;
  int64_t modified_ns;
};
using Shared = std::shared_ptr<const Object>;

struct Store {
  std::mutex lock; /* Guards what follows. Never held while a body is read. */
  std::map<std::string, Shared, std::less<>> objects;
  uint64_t writes = 0;
  HoldallHostServices host{};

  Shared find(std::string_view key) {
    std::lock_guard guard(lock);
    auto found = objects.find(key);
    if (found == objects.end())
      throw Failure{HOLDALL_KIND_FILE_NOT_FOUND, "no object has this key"};
    return found->second;
  }
};

/* The host shares the store between threads; the mutex makes that true. */
Store &store_of(const void *backend) { return *static_cast<Store *>(const_cast<void *>(backend)); }

/* ---- the operations ------------------------------------------------------------------------- */

HoldallStatus open_store(const void *, const HoldallOpenArgs *args, void *, const HoldallFfiContext *,
                         HoldallOpenOut *out, HoldallFfiError *err, HoldallFfiFuture *) noexcept {
  return guarded(err, [&] {
    /* CHANGE: `args->config` is the JSON that the host has checked against the schema below. */
    auto store = std::make_unique<Store>();
    std::memcpy(&store->host, args->services, std::min(args->services->size, sizeof store->host));
    HoldallOpenOut opened{};
    opened.backend = store.release();
    opened.operations = SERVED;
    opened.capabilities = CAPABILITIES;
    opened.max_object_size = opened.max_conditional_size = UINT64_MAX;
    opened.max_metadata_bytes = 2048;
    opened.max_page = 1000;
    opened.buffer_bytes = UINT64_C(8) << 20;
    opened.description = slice("memory of this process, in C++");
    fill(out, opened);
    return status(HOLDALL_READY);
  });
}

/* Called once, after the last operation and the last body. */
void drop_store(const void *backend) noexcept { delete &store_of(backend); }

/* An upload's body: the plugin's from the first instruction on, so it ends on every path. */
struct Body {
  HoldallFfiStream stream;
  explicit Body(HoldallFfiStream given) : stream(given) {}
  Body(const Body &) = delete;
  ~Body() { stream.table->drop(&stream.words); }
};

HoldallStatus upload(const void *backend, const HoldallUploadArgs *args, void *,
                     const HoldallFfiContext *cx, HoldallUploadOut *out, HoldallFfiError *err,
                     HoldallFfiFuture *) noexcept {
  Body body(args->body);
  return guarded(err, [&] {
    auto &store = store_of(backend);
    bool create_only = args->options && args->options->create_only;
    auto object = std::make_shared<Object>();
    for (;;) {
      HoldallFfiBytes chunk{};
      HoldallFfiTrailers end{};
      end.size = sizeof end;
      HoldallStatus status = body.stream.table->poll_next(&body.stream.words, cx, &chunk, &end, err);
      if (status == HOLDALL_END)
        break;
      if (status != HOLDALL_READY)
        return status; /* `err` holds the error of the source. */
      /* The chunk goes back whatever happens. */
      std::unique_ptr<HoldallFfiBytes, void (*)(HoldallFfiBytes *)> held(
          &chunk, [](HoldallFfiBytes *it) {
            if (it->release)
              it->release(&it->owner);
          });
      object->bytes.append(reinterpret_cast<const char *>(chunk.ptr), chunk.len);
    }
    HoldallUploadOut stored{};
    {
      std::lock_guard guard(store.lock);
      auto found = store.objects.find(view(args->key));
      if (create_only && found != store.objects.end())
        throw Failure{HOLDALL_KIND_PRECONDITION_FAILED, "the key exists"};
      object->etag = std::to_string(++store.writes);
      object->modified_ns = store.host.unix_ns(store.host.host);
      store.objects.insert_or_assign(std::string(view(args->key)), object);
    }
    auto *owner = new Shared(object);
    stored.bytes = object->bytes.size();
    stored.etag = slice(object->etag);
    stored.last_modified_ns = object->modified_ns;
    stored.owner = owner;
    stored.release = [](void *owner) { delete static_cast<Shared *>(owner); };
    fill(out, stored);
    return status(HOLDALL_READY);
  });
}

HoldallObjectOut facts(const Object &object) {
  HoldallObjectOut facts{};
  facts.size = sizeof facts;
  facts.bytes = object.bytes.size();
  facts.etag = slice(object.etag);
  facts.last_modified_ns = object.modified_ns;
  return facts;
}

struct Reader {
  Shared object;
  uint64_t at, end;
  uint32_t chunk;
};

const HoldallStreamTable READER = {
    sizeof READER,
    nullptr,
    [](void *(*words)[5], const HoldallFfiContext *, HoldallFfiBytes *out, HoldallFfiTrailers *end,
       HoldallFfiError *err) noexcept -> HoldallStatus {
      return guarded(err, [&] {
        auto &reader = *static_cast<Reader *>((*words)[0]);
        uint64_t len = std::min<uint64_t>(reader.end - reader.at, reader.chunk);
        if (len == 0) {
          HoldallFfiTrailers nothing{};
          nothing.bytes = UINT64_MAX;
          fill(end, nothing);
          return status(HOLDALL_END);
        }
        /* No copy: the chunk is a part of the object, and holds a share of it. */
        HoldallFfiBytes chunk{};
        chunk.ptr = reinterpret_cast<const uint8_t *>(reader.object->bytes.data()) + reader.at;
        chunk.len = len;
        chunk.owner[0] = new Shared(reader.object);
        chunk.release = [](void *(*owner)[4]) { delete static_cast<Shared *>((*owner)[0]); };
        *out = chunk;
        reader.at += len;
        return status(HOLDALL_READY);
      });
    },
    [](void *(*words)[5]) noexcept { delete static_cast<Reader *>((*words)[0]); },
};

struct DownloadAnswer {
  Shared object;
  HoldallObjectOut facts;
};

HoldallStatus download(const void *backend, const HoldallDownloadArgs *args, void *,
                       const HoldallFfiContext *, HoldallDownloadOut *out, HoldallFfiError *err,
                       HoldallFfiFuture *) noexcept {
  return guarded(err, [&] {
    Shared object = store_of(backend).find(view(args->key));
    uint64_t size = object->bytes.size(), start = 0, end = size;
    switch (args->range_kind) {
    case HOLDALL_RANGE_ALL:
      break;
    case HOLDALL_RANGE_BOUNDED:
      start = args->range_a, end = std::min(args->range_b, size);
      break;
    case HOLDALL_RANGE_FROM:
      start = args->range_a;
      break;
    case HOLDALL_RANGE_LAST:
      start = args->range_a < size ? size - args->range_a : 0;
      break;
    default:
      throw Failure{HOLDALL_KIND_UNSUPPORTED, "this kind of range"};
    }
    if (args->range_kind != HOLDALL_RANGE_ALL && start >= end)
      throw Failure{HOLDALL_KIND_INVALID_RANGE, "the range begins past the object", "size", size};
    auto reader = std::make_unique<Reader>(Reader{object, start, end, args->chunk_hint});
    auto answer = std::make_unique<DownloadAnswer>(DownloadAnswer{object, facts(*object)});
    HoldallDownloadOut found{};
    found.object = &answer->facts;
    found.range_start = start;
    found.range_end = end;
    found.body.words[0] = reader.release();
    found.body.table = &READER;
    found.owner = answer.release();
    found.release = [](void *owner) { delete static_cast<DownloadAnswer *>(owner); };
    fill(out, found);
    return status(HOLDALL_READY);
  });
}

HoldallStatus remove_object(const void *backend, const HoldallDeleteArgs *args, void *,
                            const HoldallFfiContext *, HoldallDeleteOut *out, HoldallFfiError *err,
                            HoldallFfiFuture *) noexcept {
  return guarded(err, [&] {
    auto &store = store_of(backend);
    std::lock_guard guard(store.lock);
    auto found = store.objects.find(view(args->key));
    bool existed = found != store.objects.end();
    if (!existed && args->must_exist)
      throw Failure{HOLDALL_KIND_FILE_NOT_FOUND, "no object has this key"};
    if (existed)
      store.objects.erase(found);
    HoldallDeleteOut deleted{};
    deleted.existed = existed ? HOLDALL_EXISTED_YES : HOLDALL_EXISTED_NO;
    fill(out, deleted);
    return status(HOLDALL_READY);
  });
}

HoldallStatus exists(const void *backend, const HoldallExistsArgs *args, void *,
                     const HoldallFfiContext *, HoldallExistsOut *out, HoldallFfiError *err,
                     HoldallFfiFuture *) noexcept {
  return guarded(err, [&] {
    auto &store = store_of(backend);
    std::lock_guard guard(store.lock);
    HoldallExistsOut answer{};
    answer.exists = store.objects.contains(view(args->key));
    fill(out, answer);
    return status(HOLDALL_READY);
  });
}

HoldallStatus head(const void *backend, const HoldallHeadArgs *args, void *, const HoldallFfiContext *,
                   HoldallObjectOut *out, HoldallFfiError *err, HoldallFfiFuture *) noexcept {
  return guarded(err, [&] {
    Shared object = store_of(backend).find(view(args->key));
    HoldallObjectOut answer = facts(*object);
    answer.owner = new Shared(object);
    answer.release = [](void *owner) { delete static_cast<Shared *>(owner); };
    fill(out, answer);
    return status(HOLDALL_READY);
  });
}

/* A store without HTTP of its own leaves signing to the host. */
HoldallStatus signed_url(const void *backend, const HoldallSignArgs *args, void *,
                         const HoldallFfiContext *, HoldallSignOut *out, HoldallFfiError *err,
                         HoldallFfiFuture *) noexcept {
  return guarded(err, [&] {
    if (args->must_exist)
      store_of(backend).find(view(args->key));
    HoldallSignOut answer{};
    answer.at_gateway = 1;
    fill(out, answer);
    return status(HOLDALL_READY);
  });
}

/* A page and all that it points to. */
struct Page {
  std::vector<std::pair<std::string, Shared>> objects;
  std::vector<std::string> common;
  std::vector<HoldallFfiEntry> entries;
  std::vector<HoldallFfiSlice> prefixes;
  std::string next;
};

/* A token is what the page before ended with: `k` and a key, or `p` and a common prefix. It stays right when
 * objects come and go in between. */
HoldallStatus list(const void *backend, const HoldallListArgs *args, void *, const HoldallFfiContext *,
                   HoldallListOut *out, HoldallFfiError *err, HoldallFfiFuture *) noexcept {
  return guarded(err, [&] {
    auto prefix = view(args->prefix), delimiter = view(args->delimiter);
    auto token = view(args->page_token), after = view(args->start_after);
    if (args->page_token.ptr && (token.empty() || (token[0] != 'k' && token[0] != 'p')))
      throw Failure{HOLDALL_KIND_INVALID_ARGUMENT, "this page token is not of this store"};
    auto last = token.substr(token.empty() ? 0 : 1);
    bool after_prefix = !token.empty() && token[0] == 'p';
    auto page = std::make_unique<Page>();
    auto &store = store_of(backend);
    {
      std::lock_guard guard(store.lock);
      std::string shown(after_prefix ? last : std::string_view());
      size_t items = 0;
      std::string ending;
      for (auto it = store.objects.lower_bound(std::max(prefix, std::max(last, after)));
           it != store.objects.end() && it->first.starts_with(prefix); ++it) {
        const std::string &key = it->first;
        if (!token.empty() && !after_prefix && key <= last)
          continue;
        if (args->start_after.ptr && key <= after)
          continue;
        if (!shown.empty() && key.starts_with(shown))
          continue;
        if (items++ == args->limit) {
          page->next = ending;
          break;
        }
        size_t at = delimiter.empty() ? std::string::npos : key.find(delimiter, prefix.size());
        if (at != std::string::npos) {
          shown = key.substr(0, at + delimiter.size());
          page->common.push_back(shown);
          ending = "p" + shown;
        } else {
          page->objects.emplace_back(key, it->second);
          ending = "k" + key;
        }
      }
    }
    /* Only now: the vectors move no more. */
    for (auto &[key, object] : page->objects)
      page->entries.push_back({slice(key), object->bytes.size(), slice(object->etag), object->modified_ns});
    for (auto &common : page->common)
      page->prefixes.push_back(slice(common));
    HoldallListOut answer{};
    answer.entries = page->entries.data();
    answer.entry_count = page->entries.size();
    answer.entry_size = sizeof(HoldallFfiEntry);
    answer.prefixes = page->prefixes.data();
    answer.prefix_count = page->prefixes.size();
    if (!page->next.empty())
      answer.next = slice(page->next);
    answer.owner = page.release();
    answer.release = [](void *owner) { delete static_cast<Page *>(owner); };
    fill(out, answer);
    return status(HOLDALL_READY);
  });
}

/* ---- the descriptor ------------------------------------------------------------------------- */

constexpr HoldallBackendTable operations() {
  HoldallBackendTable table{};
  table.size = sizeof table;
  table.drop = drop_store;
  table.start_upload = upload;
  table.start_download = download;
  table.start_delete = remove_object;
  table.start_exists = exists;
  table.start_signed_url = signed_url;
  table.start_head = head;
  table.start_list = list;
  return table;
}
constinit const HoldallBackendTable OPERATIONS = operations();

/* CHANGE: summary, licence and schema. */
#define JSON                                                                                       \
  "{\"name\":\"" NAME "\",\"version\":\"0.1.0\",\"schemes\":[\"" NAME "\"],"                       \
  "\"entry\":\"" HOLDALL_ENTRY_PREFIX NAME "\","                                                   \
  "\"summary\":\"Objects in memory: an example in C++\",\"license\":\"MIT OR Apache-2.0\","        \
  "\"language\":\"C++\",\"config_schema\":{\"type\":\"object\",\"additionalProperties\":false,"    \
  "\"properties\":{}}}"

struct Descriptor {
  HoldallHeader header;
  uint64_t fingerprints[HOLDALL_FINGERPRINT_COUNT][2];
  char json[sizeof JSON];
};

constexpr HoldallHeader header() {
  HoldallHeader header{};
  constexpr char magic[8] = {'H', 'O', 'L', 'D', 'A', 'L', 'L', 0};
  for (size_t i = 0; i < sizeof magic; i++)
    header.magic[i] = static_cast<uint8_t>(magic[i]);
  header.descriptor_version = HOLDALL_DESCRIPTOR_VERSION;
  header.abi_major = HOLDALL_ABI_MAJOR;
  header.abi_minor = HOLDALL_ABI_MINOR;
  header.flags = HOLDALL_ABI_FLAGS | HOLDALL_FLAG_BLOCKING;
  header.fingerprint_count = HOLDALL_FINGERPRINT_COUNT;
  header.operations = SERVED;
  header.capabilities = CAPABILITIES;
  header.json_len = sizeof JSON - 1;
  return header;
}

/* Plain bytes in a section of their own, which the host reads without running the file. */
__attribute__((section(HOLDALL_SECTION), used)) constinit const Descriptor DESCRIPTOR = {
    header(), HOLDALL_FINGERPRINTS, JSON};

const HoldallPluginTable PLUGIN = {
    sizeof PLUGIN,
    nullptr,
    HOLDALL_ABI_MAJOR,
    HOLDALL_ABI_MINOR,
    {reinterpret_cast<const uint8_t *>(&DESCRIPTOR),
     sizeof DESCRIPTOR.header + sizeof DESCRIPTOR.fingerprints + sizeof JSON - 1},
    nullptr,
    open_store,
    &OPERATIONS,
};

} // namespace

/* The one symbol that a plugin exports: the prefix, then its name. */
extern "C" __attribute__((visibility("default"))) const HoldallPluginTable *
holdall_plugin_v1_cppmemory(void) {
  return &PLUGIN;
}
