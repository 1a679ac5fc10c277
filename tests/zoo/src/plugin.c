// A plugin that does nothing well. Every broken library of the zoo is this one with a change: of its
// bytes where that will do, else of a line below, chosen by a macro.
//
// `ZOO_NAME` and `ZOO_BYTES`, `ZOO_LEN` (the descriptor) come from the file that includes this one.
#define _POSIX_C_SOURCE 200809L
#include "holdall.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)

// More room than the descriptor needs: zeros may follow it, and other descriptors are put here.
__attribute__((section(HOLDALL_SECTION), used, aligned(16))) static const unsigned char section[16384] = ZOO_BYTES;

// Written over in every copy. Where the file is that shows that code of this library has run.
__attribute__((used)) static volatile char marker[1024] = "@@ZOO-MARKER@@";

__attribute__((constructor)) static void constructed(void) {
  int fd = open((const char *)marker, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
}

#ifdef ZOO_BIG
// So that there is something to cut.
__attribute__((used)) static const unsigned char big[ZOO_BIG] = {1};
#endif

static HoldallStatus fail(HoldallFfiError *err) {
  size_t size = err->size;
  *err = (HoldallFfiError){.size = size};
  return HOLDALL_FAILED;
}

// Nobody calls them; their slots are what is looked at.
#define OPERATION(name, Args, Out)                                                                  \
  static HoldallStatus name(const void *backend, const Args *args, void *storage,                   \
                            const HoldallFfiContext *cx, Out *out, HoldallFfiError *err,            \
                            HoldallFfiFuture *fut) {                                                \
    (void)backend, (void)args, (void)storage, (void)cx, (void)out, (void)fut;                       \
    return fail(err);                                                                               \
  }
OPERATION(zoo_upload, HoldallUploadArgs, HoldallUploadOut)
OPERATION(zoo_download, HoldallDownloadArgs, HoldallDownloadOut)
OPERATION(zoo_delete, HoldallDeleteArgs, HoldallDeleteOut)
OPERATION(zoo_exists, HoldallExistsArgs, HoldallExistsOut)
OPERATION(zoo_signed_url, HoldallSignArgs, HoldallSignOut)
OPERATION(zoo_head, HoldallHeadArgs, HoldallObjectOut)
OPERATION(zoo_open, HoldallOpenArgs, HoldallOpenOut)

static void zoo_drop(const void *backend) { (void)backend; }

static const HoldallBackendTable operations = {
#ifndef ZOO_SHORT_OPERATIONS
    .size = sizeof(HoldallBackendTable),
#else
    .size = 8,
#endif
#ifndef ZOO_NULL_DROP
    .drop = zoo_drop,
#endif
    .start_upload = zoo_upload,
    .start_download = zoo_download,
#ifndef ZOO_NULL_DELETE
    .start_delete = zoo_delete,
#endif
#ifdef ZOO_FOREIGN_EXISTS
    .start_exists = (void *)abort,
#else
    .start_exists = zoo_exists,
#endif
    .start_signed_url = zoo_signed_url,
#ifndef ZOO_NULL_HEAD
    .start_head = zoo_head,
#endif
};

#ifdef ZOO_OTHER_LAYOUT
// Where a plugin in Rust has the description of its tables.
static const unsigned char layout[4096] = {1};
#endif

#ifdef ZOO_OTHER_DESCRIPTOR
static const unsigned char other[ZOO_LEN] = {1};
#endif

static const HoldallPluginTable table = {
#ifndef ZOO_SHORT_TABLE
    .size = sizeof(HoldallPluginTable),
#else
    .size = 24,
#endif
    .abi_major = HOLDALL_ABI_MAJOR,
#ifndef ZOO_OTHER_MINOR
    .abi_minor = HOLDALL_ABI_MINOR,
#else
    .abi_minor = HOLDALL_ABI_MINOR + 1,
#endif
#ifndef ZOO_OTHER_DESCRIPTOR
    .descriptor = {section, ZOO_LEN},
#else
    .descriptor = {other, ZOO_LEN},
#endif
#ifdef ZOO_OTHER_LAYOUT
    .rust_layout = layout,
#endif
#ifndef ZOO_NULL_OPEN
    .open = zoo_open,
#endif
#ifndef ZOO_NULL_OPERATIONS
    .ops = &operations,
#endif
};

#ifdef ZOO_UNRESOLVED
void zoo_nobody_defines_this(void);
__attribute__((used)) static void unresolved(void) { zoo_nobody_defines_this(); }
#endif

const HoldallPluginTable *JOIN(holdall_plugin_v1_, ZOO_NAME)(void) {
#ifdef ZOO_RETURN_NULL
  return NULL;
#else
  return &table;
#endif
}
