/* Uploads in parts (ABI 1.1): the parts of an object arrive in any order, and the object appears when
 * the upload is completed. Included by plugin.c, whose helpers and store it uses. */

/* Characters of an upload's id, all of them hexadecimal digits. */
enum { ID_LEN = 32 };

/* A part is an object without a key: its etag names its bytes. */
struct part {
  uint32_t number;
  struct object *object;
};

/* An upload that is neither completed nor aborted. Shared by counting: a page shows its texts. */
struct upload {
  atomic_size_t count;
  char id[ID_LEN + 1];
  int64_t created_ns;
  struct object *described; /* Key and content type of the object to come. */
  struct part *parts;       /* By number; guarded by the lock of the store. */
  size_t part_count;
  size_t part_room;
};

static struct upload *share_upload(struct upload *upload) {
  upload->count++;
  return upload;
}

static void unshare_upload(void *shared) {
  struct upload *upload = shared;
  if (!upload || --upload->count != 0)
    return;
  for (size_t i = 0; i < upload->part_count; i++)
    unshare(upload->parts[i].object);
  free(upload->parts);
  unshare(upload->described);
  give_back(upload);
}

static void drop_uploads(struct store *store) {
  for (size_t i = 0; i < store->upload_count; i++)
    unshare_upload(store->uploads[i]);
  free(store->uploads);
}

/* Uploads are in the order of their keys, and those of one key in the order of their ids. */
static int compare_upload(const struct upload *upload, HoldallFfiSlice key, HoldallFfiSlice id) {
  int order = compare(upload->described->key, key);
  return order ? order : compare(text(upload->id), id);
}

/* Where this upload is, or where it belongs. */
static size_t upload_position(const struct store *store, HoldallFfiSlice key, HoldallFfiSlice id) {
  size_t low = 0, high = store->upload_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (compare_upload(store->uploads[middle], key, id) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* The place of an upload, or an error. Called with the lock. An id belongs to its key. */
static HoldallStatus find_upload(const struct store *store, HoldallFfiSlice key, HoldallFfiSlice id,
                                 size_t *at, HoldallFfiError *err) {
  if (store->closed)
    return closed(err);
  *at = upload_position(store, key, id);
  if (*at < store->upload_count && compare_upload(store->uploads[*at], key, id) == 0)
    return HOLDALL_READY;
  fail(err, HOLDALL_KIND_FILE_NOT_FOUND, "no upload of this key has this id");
  return with_code(err, "upload_not_found");
}

/* Takes an upload out of the store; the caller has its share now. */
static struct upload *remove_upload(struct store *store, size_t at) {
  struct upload *upload = store->uploads[at];
  store->upload_count--;
  memmove(store->uploads + at, store->uploads + at + 1,
          (store->upload_count - at) * sizeof *store->uploads);
  return upload;
}

/* Where the part of this number is, or where it belongs. */
static size_t part_position(const struct upload *upload, uint32_t number) {
  size_t at = upload->part_count;
  while (at > 0 && upload->parts[at - 1].number >= number)
    at--;
  return at;
}

static bool is_part(const struct upload *upload, size_t at, uint32_t number) {
  return at < upload->part_count && upload->parts[at].number == number;
}

/* Conditions never arrive here: they are judged when the upload is completed. */
static HoldallStatus create_upload(const void *backend, const HoldallCreateUploadArgs *args,
                                   void *storage, const HoldallFfiContext *cx,
                                   HoldallCreateUploadOut *out, HoldallFfiError *err,
                                   HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->key);
  HoldallFfiSlice type = {0};
  if (args->options)
    type = args->options->content_type;
  struct upload *upload = take(sizeof *upload);
  if (!upload)
    return fail(err, HOLDALL_KIND_QUOTA_EXCEEDED, "out of memory");
  upload->count = 1;
  upload->described = new_object(args->key, type);

  struct store *store = locked(backend);
  HoldallStatus status = HOLDALL_READY;
  struct upload **uploads = with_room(store->uploads, store->upload_count, &store->upload_room);
  if (uploads)
    store->uploads = uploads;
  if (store->closed) {
    status = closed(err);
  } else if (!uploads || !upload->described) {
    status = fail(err, HOLDALL_KIND_QUOTA_EXCEEDED, "out of memory");
  } else if (store->upload_count >= store->max_objects) {
    status = fail_with_number(err, HOLDALL_KIND_QUOTA_EXCEEDED, "the store holds no more uploads",
                              "limit", store->max_objects);
  } else {
    uint8_t random[ID_LEN / 2];
    store->host.random(store->host.host, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
      snprintf(upload->id + 2 * i, 3, "%02x", random[i]);
    upload->created_ns = store->host.unix_ns(store->host.host);
    size_t at = upload_position(store, args->key, text(upload->id));
    memmove(uploads + at + 1, uploads + at, (store->upload_count - at) * sizeof *uploads);
    uploads[at] = share_upload(upload);
    store->upload_count++;
  }
  unlock(store);
  if (status != HOLDALL_READY) {
    unshare_upload(upload);
    return status;
  }
  HoldallCreateUploadOut created = {.size = sizeof created,
                                    .upload_id = text(upload->id),
                                    .owner = upload,
                                    .release = unshare_upload};
  FILL(out, created);
  return HOLDALL_READY;
}

/* Puts a part into its place; one of the same number goes. Called with the lock. */
static HoldallStatus place_part(struct upload *upload, uint32_t number, struct object *object,
                                HoldallFfiError *err) {
  size_t at = part_position(upload, number);
  if (is_part(upload, at, number)) {
    unshare(upload->parts[at].object);
  } else {
    if (upload->part_count == upload->part_room) {
      size_t room = upload->part_room ? upload->part_room * 2 : 16;
      struct part *parts = realloc(upload->parts, room * sizeof *parts);
      if (!parts)
        return fail(err, HOLDALL_KIND_QUOTA_EXCEEDED, "out of memory");
      upload->parts = parts;
      upload->part_room = room;
    }
    memmove(upload->parts + at + 1, upload->parts + at,
            (upload->part_count - at) * sizeof *upload->parts);
    upload->part_count++;
  }
  upload->parts[at] = (struct part){number, share(object)};
  return HOLDALL_READY;
}

static HoldallStatus put_part(const void *backend, const HoldallPutPartArgs *args, void *storage,
                              const HoldallFfiContext *cx, HoldallPutPartOut *out,
                              HoldallFfiError *err, HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->key);
  HoldallFfiStream body = args->body; /* Ours now, so it is dropped on every path. */
  size_t at;
  /* An upload that is not known is not worth reading the body. */
  struct store *store = locked(backend);
  HoldallStatus status = find_upload(store, args->key, args->upload_id, &at, err);
  unlock(store);
  struct object *object = NULL;
  if (status == HOLDALL_READY) {
    object = new_object((HoldallFfiSlice){0}, (HoldallFfiSlice){0});
    /* A wrong length or digest is found by the host: the body fails then, and nothing is kept. */
    status = object ? read_body(&body, cx, args->length, object, err)
                    : fail(err, HOLDALL_KIND_QUOTA_EXCEEDED, "out of memory");
  }
  body.table->drop(&body.words);
  if (status == HOLDALL_READY) {
    store = locked(backend);
    status = find_upload(store, args->key, args->upload_id, &at, err);
    if (status == HOLDALL_READY) {
      stamp(store, object);
      status = place_part(store->uploads[at], args->number, object, err);
    }
    unlock(store);
  }
  if (status != HOLDALL_READY) {
    unshare(object);
    return status;
  }
  HoldallPutPartOut stored = {
      .size = sizeof stored,
      .bytes = object->size,
      .etag = text(object->etag),
      .checksums_known = object->checksums_known,
      .crc32c = object->crc32c,
      .owner = object,
      .release = unshare,
  };
  FILL(out, stored);
  return HOLDALL_READY;
}

static HoldallStatus list_parts(const void *backend, const HoldallListPartsArgs *args,
                                void *storage, const HoldallFfiContext *cx,
                                HoldallListPartsOut *out, HoldallFfiError *err,
                                HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->key);
  /* A token is the number that the page before ended with. */
  uint32_t after = 0;
  for (size_t i = 0; i < args->page_token.len; i++) {
    uint8_t digit = args->page_token.ptr[i];
    if (digit < '0' || digit > '9' || args->page_token.len > 5)
      return foreign_token(err);
    after = after * 10 + (digit - '0');
  }
  struct page *page = new_page(args->limit, sizeof(HoldallFfiPart), unshare);
  if (!page)
    return fail(err, HOLDALL_KIND_STORAGE_ERROR, "out of memory");
  HoldallFfiPart *parts = page->items;
  HoldallListPartsOut answer = {
      .size = sizeof answer,
      .parts = parts,
      .part_size = sizeof *parts,
      .owner = page,
      .release = release_page,
  };
  size_t at;
  struct store *store = locked(backend);
  HoldallStatus status = find_upload(store, args->key, args->upload_id, &at, err);
  if (status == HOLDALL_READY) {
    const struct upload *upload = store->uploads[at];
    size_t i = part_position(upload, after + 1);
    for (; i < upload->part_count && answer.part_count < args->limit; i++) {
      struct object *object = share(upload->parts[i].object);
      page->held[page->held_count++] = object;
      parts[answer.part_count++] = (HoldallFfiPart){.number = upload->parts[i].number,
                                                    .checksums_known = object->checksums_known,
                                                    .bytes = object->size,
                                                    .etag = text(object->etag),
                                                    .last_modified_ns = object->modified_ns,
                                                    .crc32c = object->crc32c};
    }
    if (i < upload->part_count) {
      char last[12];
      snprintf(last, sizeof last, "%u", (unsigned)upload->parts[i - 1].number);
      if (!set_next(page, text(last), (HoldallFfiSlice){0}, &answer.next))
        status = fail(err, HOLDALL_KIND_STORAGE_ERROR, "out of memory");
    }
  }
  unlock(store);
  if (status != HOLDALL_READY) {
    release_page(page);
    return status;
  }
  FILL(out, answer);
  return HOLDALL_READY;
}

static HoldallStatus list_uploads(const void *backend, const HoldallListUploadsArgs *args,
                                  void *storage, const HoldallFfiContext *cx,
                                  HoldallListUploadsOut *out, HoldallFfiError *err,
                                  HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->prefix);
  /* A token is the id that the page before ended with, then its key. */
  HoldallFfiSlice key = args->prefix, id = {0};
  if (args->page_token.ptr) {
    if (args->page_token.len < ID_LEN)
      return foreign_token(err);
    id = (HoldallFfiSlice){args->page_token.ptr, ID_LEN};
    key = (HoldallFfiSlice){id.ptr + ID_LEN, args->page_token.len - ID_LEN};
  }
  struct page *page = new_page(args->limit, sizeof(HoldallFfiUpload), unshare_upload);
  if (!page)
    return fail(err, HOLDALL_KIND_STORAGE_ERROR, "out of memory");
  HoldallFfiUpload *uploads = page->items;
  HoldallListUploadsOut answer = {
      .size = sizeof answer,
      .uploads = uploads,
      .upload_size = sizeof *uploads,
      .owner = page,
      .release = release_page,
  };
  struct store *store = locked(backend);
  HoldallStatus status = store->closed ? closed(err) : HOLDALL_READY;
  size_t at = upload_position(store, key, id);
  if (id.ptr && at < store->upload_count && compare_upload(store->uploads[at], key, id) == 0)
    at++;
  for (; status == HOLDALL_READY && at < store->upload_count; at++) {
    struct upload *upload = store->uploads[at];
    if (!starts_with(upload->described->key, args->prefix))
      break;
    if (answer.upload_count == args->limit) {
      const struct upload *last = page->held[page->held_count - 1];
      if (!set_next(page, text(last->id), last->described->key, &answer.next))
        status = fail(err, HOLDALL_KIND_STORAGE_ERROR, "out of memory");
      break;
    }
    page->held[page->held_count++] = share_upload(upload);
    uploads[answer.upload_count++] = (HoldallFfiUpload){.key = upload->described->key,
                                                        .upload_id = text(upload->id),
                                                        .created_ns = upload->created_ns};
  }
  unlock(store);
  if (status != HOLDALL_READY) {
    release_page(page);
    return status;
  }
  FILL(out, answer);
  return HOLDALL_READY;
}

/* The named parts, shared and in their order, and the size of them all. Called with the lock. */
static HoldallStatus pick_parts(const struct upload *upload, const HoldallCompleteUploadArgs *args,
                                struct object **picked, size_t *count, uint64_t *size,
                                HoldallFfiError *err) {
  for (size_t i = 0; i < args->part_count; i++) {
    /* An item may be longer than we know: the array says how long. */
    const void *item = (const uint8_t *)args->parts + i * args->part_size;
    const HoldallFfiPartRef *named = item;
    size_t at = part_position(upload, named->number);
    if (!is_part(upload, at, named->number) ||
        compare(text(upload->parts[at].object->etag), named->etag) != 0) {
      fail_with_number(err, HOLDALL_KIND_INVALID_ARGUMENT,
                       "a part was never stored, or has another etag", "part", named->number);
      return with_code(err, "invalid_part");
    }
    picked[(*count)++] = share(upload->parts[at].object);
    *size += upload->parts[at].object->size;
  }
  return HOLDALL_READY;
}

static HoldallStatus complete_upload(const void *backend, const HoldallCompleteUploadArgs *args,
                                     void *storage, const HoldallFfiContext *cx,
                                     HoldallUploadOut *out, HoldallFfiError *err,
                                     HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->key);
  struct object **picked = take(args->part_count * sizeof *picked);
  if (!picked)
    return fail(err, HOLDALL_KIND_STORAGE_ERROR, "out of memory");
  size_t count = 0, at;
  uint64_t size = 0;
  struct upload *upload = NULL;
  struct store *store = locked(backend);
  HoldallStatus status = find_upload(store, args->key, args->upload_id, &at, err);
  if (status == HOLDALL_READY) {
    upload = share_upload(store->uploads[at]);
    status = pick_parts(upload, args, picked, &count, &size, err);
  }
  unlock(store);

  /* The bytes are copied without the lock: what was picked does not change. */
  struct object *object = NULL;
  if (status == HOLDALL_READY) {
    object = new_object(upload->described->key, upload->described->content_type);
    if (object && size)
      object->bytes = take(size);
    if (!object || (size && !object->bytes))
      status = fail(err, HOLDALL_KIND_QUOTA_EXCEEDED, "out of memory");
  }
  for (size_t i = 0; status == HOLDALL_READY && i < count; i++)
    if (picked[i]->size) {
      memcpy(object->bytes + object->size, picked[i]->bytes, picked[i]->size);
      object->size += picked[i]->size;
    }

  /* One step for all who look: the object appears and the upload goes. Another call may have
   * completed or aborted it meanwhile. */
  struct upload *completed = NULL;
  if (status == HOLDALL_READY) {
    store = locked(backend);
    status = find_upload(store, args->key, args->upload_id, &at, err);
    if (status == HOLDALL_READY)
      status = publish(store, object, args->create_only, err);
    if (status == HOLDALL_READY)
      completed = remove_upload(store, at);
    unlock(store);
  }
  for (size_t i = 0; i < count; i++)
    unshare(picked[i]);
  give_back(picked);
  unshare_upload(upload);
  unshare_upload(completed);
  if (status != HOLDALL_READY) {
    unshare(object);
    return status;
  }
  HoldallUploadOut stored = {
      .size = sizeof stored,
      .bytes = object->size,
      .etag = text(object->etag),
      .last_modified_ns = object->modified_ns,
      .owner = object,
      .release = unshare,
  };
  FILL(out, stored);
  return HOLDALL_READY;
}

static HoldallStatus abort_upload(const void *backend, const HoldallAbortUploadArgs *args,
                                  void *storage, const HoldallFfiContext *cx, HoldallEmptyOut *out,
                                  HoldallFfiError *err, HoldallFfiFuture *fut) {
  UNUSED(storage, cx, fut);
  hook(args->key);
  size_t at;
  struct upload *aborted = NULL;
  struct store *store = locked(backend);
  HoldallStatus status = find_upload(store, args->key, args->upload_id, &at, err);
  if (status == HOLDALL_READY)
    aborted = remove_upload(store, at);
  unlock(store);
  unshare_upload(aborted);
  if (status != HOLDALL_READY)
    return status;
  HoldallEmptyOut answer = {.size = sizeof answer};
  FILL(out, answer);
  return HOLDALL_READY;
}
