/* What the tests of the host need and no plugin has: compiled in by -DHOLDALL_TEST only. */

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static long number_after(HoldallFfiSlice key, HoldallFfiSlice start) {
  long number = 0;
  for (size_t i = start.len; i < key.len && key.ptr[i] >= '0' && key.ptr[i] <= '9'; i++)
    number = number * 10 + (key.ptr[i] - '0');
  return number;
}

static void pause_ms(long ms) {
  nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Threads that are inside an operation or a chunk, and the most that ever were. */
static atomic_long inside, most_inside;

struct visit {
  char unused;
};

static void leave(struct visit *visit) {
  (void)visit;
  inside--;
}

/* `scribble`: a stray thread writes over the plugin's own tables. */
static const HoldallBackendTable OPERATIONS;
static const HoldallPluginTable PLUGIN;

static void overwrite(const void *table, size_t size) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)table & ~(page - 1);
  if (mprotect((void *)start, (uintptr_t)table + size - start, PROT_READ | PROT_WRITE))
    abort();
  memset((void *)table, 0x5a, size);
}

static void *scribble_thread(void *unused) {
  overwrite(&OPERATIONS, sizeof OPERATIONS);
  overwrite(&PLUGIN, sizeof PLUGIN);
  return unused;
}

static void scribble(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, scribble_thread, NULL))
    abort();
  pthread_join(thread, NULL);
}

/* `sleep-500/a` takes half a second. */
static struct visit enter(HoldallFfiSlice key) {
  long now = ++inside, most = most_inside;
  while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now)) {
  }
  HoldallFfiSlice sleep = text("sleep-");
  if (starts_with(key, sleep))
    pause_ms(number_after(key, sleep));
  if (starts_with(key, text("scribble")))
    scribble();
  return (struct visit){0};
}

/* Until the function ends that says it. */
#define hook(key) __attribute__((cleanup(leave), unused)) struct visit visit = enter(key)

#ifdef HOLDALL_ALONE
#define MAX_IN_FLIGHT 1
#endif

/* What `health` says. */
static void report(char *message, size_t size) {
#ifdef HOLDALL_ALONE
  snprintf(message, size, "%ld inside at most", atomic_load(&most_inside));
#else
  snprintf(message, size, "%ld allocated", atomic_load(&live));
#endif
}

/* `pending-50/a`: a plugin that may block may answer HOLDALL_PENDING all the same. This one wakes
 * its caller from a thread of its own, twice: before it is done, and when it is. */
struct pending {
  pthread_t thread;
  HoldallFfiWaker waker;
  long ms;
  atomic_int done;
};

static void *pending_thread(void *state) {
  struct pending *pending = state;
  pending->waker.table->wake_by_ref((const void *const (*)[2]) & pending->waker.data);
  pause_ms(pending->ms);
  pending->done = 1;
  pending->waker.table->wake_by_ref((const void *const (*)[2]) & pending->waker.data);
  return NULL;
}

static HoldallStatus pending_poll(void *state, const HoldallFfiContext *cx, void *out,
                                  HoldallFfiError *err) {
  (void)cx, (void)err;
  struct pending *pending = *(struct pending **)state;
  if (!pending->done)
    return HOLDALL_PENDING;
  HoldallExistsOut answer = {.size = sizeof answer, .exists = 1};
  FILL(out, answer);
  return HOLDALL_READY;
}

static void pending_drop(void *state) {
  struct pending *pending = *(struct pending **)state;
  pthread_join(pending->thread, NULL);
  pending->waker.table->drop(&pending->waker.data);
  give_back(pending);
}

static bool pending_exists(HoldallFfiSlice key, void *storage, const HoldallFfiContext *cx,
                           HoldallFfiFuture *fut) {
  HoldallFfiSlice start = text("pending-");
  struct pending *pending = starts_with(key, start) ? take(sizeof *pending) : NULL;
  if (!pending)
    return false;
  pending->ms = number_after(key, start);
  pending->waker = cx->table->clone(cx->data);
  pthread_create(&pending->thread, NULL, pending_thread, pending);
  *(struct pending **)storage = pending;
  *fut = (HoldallFfiFuture){.poll = pending_poll, .drop = pending_drop};
  return true;
}
