/* Reads of many ranges (ABI 1.1), into memory of the caller. Included by plugin.c, whose helpers and
 * store it uses. */

/* A reader has a share of one object, so all its ranges are of one version. */
struct ranges_reader {
  struct object *object;
  size_t count;
  size_t next; /* The first that is not filled yet. */
  HoldallFfiRange ranges[];
};

/* One buffer for each range, exactly as long as the range. They are lent until `drop` has returned;
 * this reader writes within the call only. */
static HoldallStatus fill_ranges(void *(*words)[5], const HoldallFfiContext *cx,
                                 const HoldallFfiBuffer *buffers, size_t buffer_count,
                                 HoldallFfiRangeDone *done, size_t done_room, size_t *done_count,
                                 HoldallFfiError *err) {
  (void)cx, (void)buffer_count, (void)err;
  hook(text(""));
  struct ranges_reader *reader = (*words)[0];
  if (reader->next == reader->count)
    return HOLDALL_END;
  size_t filled = 0;
  for (; reader->next < reader->count && filled < done_room; reader->next++) {
    HoldallFfiRange range = reader->ranges[reader->next];
    memcpy(buffers[reader->next].ptr, reader->object->bytes + range.start, range.end - range.start);
    done[filled++].index = reader->next;
  }
  *done_count = filled;
  return HOLDALL_READY;
}

static void drop_ranges_reader(void *(*words)[5]) {
  hook(text(""));
  struct ranges_reader *reader = (*words)[0];
  unshare(reader->object);
  give_back(reader);
}

static const HoldallRangeStreamTable RANGES_READER = {
    .size = sizeof RANGES_READER, .poll_into = fill_ranges, .drop = drop_ranges_reader};

static HoldallStatus download_ranges(const void *backend, const HoldallRangesArgs *args,
                                     void *storage, const HoldallFfiContext *cx,
                                     HoldallRangesOut *out, HoldallFfiError *err,
                                     HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->key);
  struct object *object;
  HoldallStatus status = find(backend, args->key, &object, err);
  if (status != HOLDALL_READY)
    return status;
  /* The host has checked that each range begins before it ends, but not against this object. */
  for (size_t i = 0; i < args->range_count; i++)
    if (args->ranges[i].end > object->size) {
      uint64_t size = object->size;
      unshare(object);
      return fail_with_number(err, HOLDALL_KIND_INVALID_RANGE, "a range ends behind the object",
                              "size", size);
    }
  struct download_answer *answer = take(sizeof *answer);
  struct ranges_reader *reader =
      take(sizeof *reader + args->range_count * sizeof *reader->ranges);
  if (!answer || !reader) {
    give_back(answer);
    give_back(reader);
    unshare(object);
    return fail(err, HOLDALL_KIND_STORAGE_ERROR, "out of memory");
  }
  reader->object = share(object);
  reader->count = args->range_count;
  memcpy(reader->ranges, args->ranges, args->range_count * sizeof *reader->ranges);
  *answer = (struct download_answer){object, facts(object)};
  HoldallRangesOut found = {
      .size = sizeof found,
      .object = &answer->facts,
      .stream = {.words = {reader}, .table = &RANGES_READER},
      .owner = answer,
      .release = release_download,
  };
  FILL(out, found);
  return HOLDALL_READY;
}
