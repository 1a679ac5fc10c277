"""A strict stand-in for the XML API of Google Cloud Storage, for tests only.

The emulators that exist take any token, any signature and any precondition, so that a green test
against them says nothing. This one verifies: the self-signed tokens of a service account (RS256,
issuer, scope, times), V4 signed URLs in each of their parts, generation preconditions, ETag and time
conditions, ranges, MD5, parts of multipart uploads; and it decompresses what is stored as gzip for
clients that do not say they take it, as the real service does. `stub_test.py` shows that it refuses.

On a second port are those who hand out tokens: the service that changes the refresh token of one user
(the fields of USER_JSON, an `authorized_user`), and the metadata service of a machine. Their tokens are
taken until they expire, or are revoked.

    python stub.py PORT TOKEN_PORT FOLDER BUCKET EMAIL PUBLIC_KEY_PEM USER_JSON ADMIN_SECRET

Sources: https://cloud.google.com/storage/docs/xml-api/overview and the pages below it,
https://cloud.google.com/storage/docs/authentication/canonical-requests, https://google.aip.dev/auth/4113,
https://www.rfc-editor.org/rfc/rfc6749#section-6, https://cloud.google.com/compute/docs/metadata/overview.
"""

import base64
import binascii
import datetime
import email.utils
import gzip
import hashlib
import json
import os
import re
import secrets
import sqlite3
import sys
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

KEPT = ["content-type", "cache-control", "content-disposition", "content-encoding", "content-language"]
SCOPES = {
    "https://www.googleapis.com/auth/devstorage.full_control",
    "https://www.googleapis.com/auth/devstorage.read_write",
    "https://www.googleapis.com/auth/cloud-platform",
}
LEAST_PART = 5 << 20
# Uploads and parts on a page: fewer than the service's 1000, so that pages are turned.
SOME = 2
HOST = "storage.googleapis.com"
LONGEST_URL = 7 * 24 * 3600
CHUNK = 1 << 18


class Refused(Exception):
    def __init__(self, status, code, headers=None):
        super().__init__(code)
        self.status, self.code, self.headers = status, code, headers or {}


class Store:
    """Objects and uploads: facts in SQLite, bytes in files, so that a killed server comes back."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.RLock()
        os.makedirs(os.path.join(folder, "bytes"), exist_ok=True)
        self.db = sqlite3.connect(os.path.join(folder, "facts"), check_same_thread=False, isolation_level=None)
        self.db.executescript("""
            PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
            CREATE TABLE IF NOT EXISTS objects (key BLOB PRIMARY KEY, generation INTEGER, etag TEXT, size INTEGER,
                modified REAL, facts TEXT, file TEXT) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS uploads (id TEXT PRIMARY KEY, key BLOB, facts TEXT, begun REAL);
            CREATE TABLE IF NOT EXISTS parts (upload TEXT, number INTEGER, etag TEXT, size INTEGER, file TEXT,
                modified REAL, PRIMARY KEY (upload, number));
        """)
        self.last = self.db.execute("SELECT coalesce(max(generation), 0) FROM objects").fetchone()[0]

    def path(self, file):
        return os.path.join(self.folder, "bytes", file)

    def spool(self, read, length):
        """Reads a body to a file: its name, size, MD5."""
        file, digest, left = uuid.uuid4().hex, hashlib.md5(), length
        with open(self.path(file), "wb") as out:
            while left:
                chunk = read(min(CHUNK, left))
                if not chunk:
                    out.close()
                    os.unlink(self.path(file))
                    raise ConnectionError("the body ended early")
                digest.update(chunk)
                out.write(chunk)
                left -= len(chunk)
        return file, digest.digest()

    def drop(self, file):
        try:
            os.unlink(self.path(file))
        except FileNotFoundError:
            pass

    def get(self, key):
        row = self.db.execute(
            "SELECT generation, etag, size, modified, facts, file FROM objects WHERE key = ?", [key]
        ).fetchone()
        names = ["generation", "etag", "size", "modified", "facts", "file"]
        return row and dict(zip(names, row), facts=json.loads(row[4]))

    def publish(self, key, expected, etag, size, facts, file):
        """`expected`: the generation that must be there, 0 for none; None does not ask."""
        with self.lock:
            old = self.get(key)
            if expected is not None and expected != (old["generation"] if old else 0):
                self.drop(file)
                raise Refused(412, "PreconditionFailed")
            self.last = max(self.last + 1, time.time_ns() // 1000)
            self.db.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)",
                [key, self.last, etag, size, time.time(), json.dumps(facts), file],
            )
        # A reader of the old bytes has them open.
        if old:
            self.drop(old["file"])
        return self.last


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.wfile = self.connection.makefile("wb", 1 << 16)

    def handle_one(self):
        self.read_all = False
        target = self.path.split("?", 1)
        self.raw_path, raw_query = target[0], target[1] if len(target) > 1 else ""
        self.query = {}
        for name, value in urllib.parse.parse_qsl(raw_query, keep_blank_values=True):
            if name in self.query:
                raise Refused(400, "InvalidArgument")
            self.query[name] = value
        try:
            length = int(self.headers.get("content-length", "0"))
        except ValueError:
            raise Refused(400, "InvalidArgument") from None
        self.length = length
        if self.raw_path.startswith("/_stub/"):
            return self.admin()
        self.authorize(raw_query)
        if self.command in ("PUT", "POST") and self.headers.get("content-length") is None:
            raise Refused(411, "MissingContentLength")
        pieces = self.raw_path.lstrip("/").split("/", 1)
        if urllib.parse.unquote(pieces[0]) != self.server.bucket:
            raise Refused(404, "NoSuchBucket")
        key = urllib.parse.unquote_to_bytes(pieces[1]) if len(pieces) > 1 else b""
        if not key:
            return self.list()
        if len(key) > 1024:
            raise Refused(400, "KeyTooLong")
        action = getattr(self, f"object_{self.command.lower()}", None)
        if not action:
            raise Refused(405, "MethodNotAllowed")
        return action(key)

    def answer_one(self):
        try:
            self.handle_one()
        except Refused as refused:
            self.refuse(refused)
        except (ConnectionError, BrokenPipeError):
            self.close_connection = True
        self.wfile.flush()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = answer_one

    def refuse(self, refused):
        # What is not read would be taken for the next request.
        if self.length and not self.read_all:
            self.close_connection = True
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{refused.code}</Code><Message>{refused.code}</Message></Error>"
        if refused.status == 304:
            body = ""
        self.reply(refused.status, body, {"content-type": "application/xml", **refused.headers})

    def reply(self, status, body=b"", headers=None):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("x-guploader-uploadid", uuid.uuid4().hex)
        self.send_header("content-length", str(len(body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def body(self):
        self.read_all = True
        data = self.rfile.read(self.length)
        if len(data) != self.length:
            raise ConnectionError("the body ended early")
        return data

    # Who may

    def authorize(self, raw_query):
        if "X-Goog-Signature" in self.query or "X-Goog-Algorithm" in self.query:
            return self.verify_url(raw_query)
        token = re.fullmatch(r"Bearer (\S+)", self.headers.get("authorization", ""))
        if not token:
            raise Refused(401, "AuthenticationRequired")
        try:
            self.verify_token(token[1])
        except (ValueError, KeyError, TypeError, InvalidSignature, binascii.Error):
            raise Refused(401, "AuthenticationRequired") from None

    def verify_token(self, token):
        if self.server.tokens.get(token, 0) > time.time():
            return
        signed, _, signature = token.rpartition(".")
        header, claims = [json.loads(unpadded(part)) for part in signed.split(".")]
        if header["alg"] != "RS256" or claims["iss"] != self.server.email:
            raise ValueError("another issuer")
        self.server.key.verify(unpadded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        now = time.time()
        if not claims["iat"] - 300 <= now < claims["exp"] <= claims["iat"] + 3600:
            raise ValueError("not now")
        if not SCOPES & set(claims["scope"].split()):
            raise ValueError("no scope for storage")
        # Verified once: RSA for each request would be most of the work.
        self.server.tokens[token] = claims["exp"]

    def verify_url(self, raw_query):
        query = self.query
        try:
            algorithm, date = query["X-Goog-Algorithm"], query["X-Goog-Date"]
            account, day, _, service, request = query["X-Goog-Credential"].rsplit("/", 4)
            expires = int(query["X-Goog-Expires"])
            names = query["X-Goog-SignedHeaders"].split(";")
            signature = bytes.fromhex(query["X-Goog-Signature"])
            start = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        except (KeyError, ValueError):
            raise Refused(400, "AuthorizationQueryParametersError") from None
        scope = query["X-Goog-Credential"].split("/", 1)[1]
        if (algorithm, account, day, service, request) != (
            "GOOG4-RSA-SHA256", self.server.email, date[:8], "storage", "goog4_request",
        ) or not 1 <= expires <= LONGEST_URL or "host" not in names:
            raise Refused(400, "AuthorizationQueryParametersError")
        pairs = [pair.partition("=")[::2] for pair in raw_query.split("&")]
        pairs = sorted(pair for pair in pairs if pair[0] != "X-Goog-Signature")
        headers = ""
        for name in names:
            # URLs are signed for the service's own name, whatever the address that stands for it.
            value = HOST if name == "host" else self.headers.get(name)
            if value is None:
                raise Refused(403, "SignatureDoesNotMatch")
            headers += f"{name}:{' '.join(value.split())}\n"
        canonical = "\n".join([
            self.command, self.raw_path, "&".join("=".join(pair) for pair in pairs), headers,
            ";".join(names), self.headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD"),
        ])
        text = "\n".join([algorithm, date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        try:
            self.server.key.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise Refused(403, "SignatureDoesNotMatch") from None
        # The signature covers all headers that mean something.
        for name in self.headers:
            if name.lower().startswith("x-goog-") and name.lower() not in names:
                raise Refused(403, "SignatureDoesNotMatch")
        now = datetime.datetime.now(datetime.timezone.utc)
        if now < start - datetime.timedelta(minutes=15):
            raise Refused(403, "RequestTimeTooSkewed")
        if now >= start + datetime.timedelta(seconds=expires):
            raise Refused(400, "ExpiredToken")

    # Objects

    def facts(self):
        facts = {name: self.headers[name] for name in KEPT if self.headers.get(name) is not None}
        for name, value in self.headers.items():
            if name.lower().startswith("x-goog-meta-"):
                facts[name.lower()] = value
        return facts

    def expected(self):
        value = self.headers.get("x-goog-if-generation-match")
        if value is not None and not value.isdigit():
            raise Refused(400, "InvalidArgument")
        return None if value is None else int(value)

    def object_put(self, key):
        store = self.server.store
        if "partNumber" in self.query:
            return self.put_part(key)
        if "x-goog-copy-source" in self.headers:
            return self.copy(key)
        expected, facts = self.expected(), self.facts()
        # A condition that is lost already needs no body.
        self.read_all = True
        file, digest = store.spool(self.rfile.read, self.length)
        claimed = self.headers.get("content-md5")
        if claimed is not None and claimed != base64.b64encode(digest).decode():
            store.drop(file)
            raise Refused(400, "BadDigest")
        etag = f'"{digest.hex()}"'
        generation = store.publish(key, expected, etag, self.length, facts, file)
        self.reply(200, headers={"etag": etag, "x-goog-generation": str(generation)})

    def copy(self, key):
        store = self.server.store
        source = urllib.parse.unquote_to_bytes(self.headers["x-goog-copy-source"].lstrip("/"))
        bucket, _, source = source.partition(b"/")
        self.body()
        with store.lock:
            found = store.get(source) if bucket.decode() == self.server.bucket else None
            if not found:
                raise Refused(404, "NoSuchKey")
            with open(store.path(found["file"]), "rb") as old:
                file, _ = store.spool(old.read, found["size"])
            generation = store.publish(key, self.expected(), found["etag"], found["size"], found["facts"], file)
        self.reply(200, f"<CopyObjectResult><ETag>{found['etag']}</ETag></CopyObjectResult>",
                   {"content-type": "application/xml", "x-goog-generation": str(generation)})

    def object_delete(self, key):
        store = self.server.store
        if "uploadId" in self.query:
            self.forget(self.upload(key))
            return self.reply(204)
        with store.lock:
            old = store.get(key)
            if not old:
                raise Refused(404, "NoSuchKey")
            expected = self.expected()
            if expected is not None and expected != old["generation"]:
                raise Refused(412, "PreconditionFailed")
            store.db.execute("DELETE FROM objects WHERE key = ?", [key])
        store.drop(old["file"])
        self.reply(204)

    def object_get(self, key):
        if "uploadId" in self.query:
            return self.list_parts(key)
        store = self.server.store
        with store.lock:
            found = store.get(key)
            if not found or self.query.get("generation", str(found["generation"])) != str(found["generation"]):
                raise Refused(404, "NoSuchKey")
            file = open(store.path(found["file"]), "rb")
        with file:
            self.conditions(found)
            self.send_object(found, file)

    object_head = object_get

    def conditions(self, found):
        """RFC 9110, 13.2.2."""
        etags = lambda name: [etag.strip() for etag in self.headers[name].split(",")]
        modified = int(found["modified"])
        since = lambda name: email.utils.parsedate_to_datetime(self.headers[name]).timestamp()
        try:
            if "if-match" in self.headers:
                if not {"*", found["etag"]} & set(etags("if-match")):
                    raise Refused(412, "PreconditionFailed")
            elif "if-unmodified-since" in self.headers and modified > since("if-unmodified-since"):
                raise Refused(412, "PreconditionFailed")
            if "if-none-match" in self.headers:
                if {"*", found["etag"]} & set(etags("if-none-match")):
                    raise Refused(304, "NotModified", {"etag": found["etag"]})
            elif "if-modified-since" in self.headers and modified <= since("if-modified-since"):
                raise Refused(304, "NotModified", {"etag": found["etag"]})
        except (TypeError, ValueError):
            raise Refused(400, "InvalidArgument") from None

    def send_object(self, found, file):
        size, facts = found["size"], dict(found["facts"])
        headers = {"etag": found["etag"], "x-goog-generation": str(found["generation"]),
                   "last-modified": email.utils.formatdate(found["modified"], usegmt=True)}
        plain = None
        if facts.get("content-encoding") == "gzip" and "gzip" not in self.headers.get("accept-encoding", ""):
            # Decompressive transcoding: ranges are ignored, the encoding is gone.
            try:
                plain = gzip.decompress(file.read())
            except (OSError, EOFError):
                file.seek(0)
            else:
                facts.pop("content-encoding")
        headers.update(facts)
        for override in ("content-type", "content-disposition", "cache-control"):
            if f"response-{override}" in self.query:
                headers[override] = self.query[f"response-{override}"]
        if plain is not None:
            return self.reply(200, plain, headers)
        status, start, end = 200, 0, size
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("range", ""))
        if wanted and wanted[0] != "bytes=-":
            first, last = wanted[1], wanted[2]
            start = int(first) if first else max(0, size - int(last))
            end = min(size, int(last) + 1) if first and last else size
            if start >= size or (first and last and int(last) < start) or (not first and int(last) == 0):
                raise Refused(416, "InvalidRange", {"content-range": f"bytes */{size}"})
            status = 206
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(end - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        file.seek(start)
        left = end - start
        while left:
            chunk = file.read(min(CHUNK, left))
            self.wfile.write(chunk)
            left -= len(chunk)

    # Uploads in parts

    def upload(self, key):
        row = self.server.store.db.execute("SELECT id, key, facts FROM uploads WHERE id = ?", [self.query["uploadId"]]).fetchone()
        if not row or row[1] != key:
            raise Refused(404, "NoSuchUpload")
        return row

    def forget(self, upload):
        store = self.server.store
        with store.lock:
            files = store.db.execute("SELECT file FROM parts WHERE upload = ?", [upload[0]]).fetchall()
            store.db.execute("DELETE FROM parts WHERE upload = ?", [upload[0]])
            store.db.execute("DELETE FROM uploads WHERE id = ?", [upload[0]])
        for (file,) in files:
            store.drop(file)

    def no_conditions(self):
        # The API knows none on these requests; one that is dropped in silence would be a lost update.
        if self.expected() is not None:
            raise Refused(400, "NotImplemented")

    def put_part(self, key):
        store, upload = self.server.store, self.upload(key)
        self.no_conditions()
        number = self.query["partNumber"]
        if not number.isdigit() or not 1 <= int(number) <= 10000:
            raise Refused(400, "InvalidArgument")
        self.read_all = True
        file, digest = store.spool(self.rfile.read, self.length)
        etag = f'"{digest.hex()}"'
        with store.lock:
            self.upload(key)
            old = store.db.execute("SELECT file FROM parts WHERE upload = ? AND number = ?", [upload[0], int(number)]).fetchone()
            store.db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?)",
                             [upload[0], int(number), etag, self.length, file, time.time()])
        if old:
            store.drop(old[0])
        self.reply(200, headers={"etag": etag})

    def object_post(self, key):
        store = self.server.store
        self.no_conditions()
        if "uploads" in self.query:
            identity, facts = uuid.uuid4().hex, self.facts()
            self.body()
            store.db.execute("INSERT INTO uploads VALUES (?, ?, ?, ?)", [identity, key, json.dumps(facts), time.time()])
            xml = f"<InitiateMultipartUploadResult><UploadId>{identity}</UploadId></InitiateMultipartUploadResult>"
            return self.reply(200, xml, {"content-type": "application/xml"})
        if "uploadId" not in self.query:
            raise Refused(400, "InvalidArgument")
        upload, text = self.upload(key), self.body().decode()
        named = []
        for part in re.findall(r"<Part>(.*?)</Part>", text, re.S):
            number, etag = re.search(r"<PartNumber>(\d+)<", part), re.search(r"<ETag>(.*?)<", part)
            if not number or not etag:
                raise Refused(400, "MalformedXML")
            named.append((int(number[1]), etag[1].replace("&quot;", '"')))
        if not named or named != sorted(set(named)):
            raise Refused(400, "InvalidPartOrder" if named else "MalformedXML")
        with store.lock:
            rows = store.db.execute("SELECT number, etag, size, file FROM parts WHERE upload = ?", [upload[0]])
            parts = {(number, etag): (size, file) for number, etag, size, file in rows}
            if any(part not in parts for part in named):
                raise Refused(400, "InvalidPart")
            if any(parts[part][0] < LEAST_PART for part in named[:-1]):
                raise Refused(400, "EntityTooSmall")
            whole, size = uuid.uuid4().hex, 0
            with open(store.path(whole), "wb") as out:
                for part in named:
                    with open(store.path(parts[part][1]), "rb") as piece:
                        while chunk := piece.read(CHUNK):
                            out.write(chunk)
                            size += len(chunk)
            digest = hashlib.md5("".join(etag for _, etag in named).encode()).hexdigest()
            etag = f'"{digest}-{len(named)}"'
            generation = store.publish(key, None, etag, size, json.loads(upload[2]), whole)
        self.forget(upload)
        xml = f"<CompleteMultipartUploadResult><ETag>{escape(etag)}</ETag></CompleteMultipartUploadResult>"
        self.reply(200, xml, {"content-type": "application/xml", "x-goog-generation": str(generation)})

    def list_parts(self, key):
        if self.command != "GET":
            raise Refused(405, "MethodNotAllowed")
        after, some = self.number("part-number-marker", 0), min(SOME, self.number("max-parts", SOME))
        # An upload that is being forgotten is there with its parts, or not at all.
        with self.server.store.lock:
            upload = self.upload(key)
            rows = self.server.store.db.execute(
                "SELECT number, etag, size, modified FROM parts WHERE upload = ? AND number > ? ORDER BY number",
                [upload[0], after])
            rows = rows.fetchmany(some + 1)
        xml = [f"<Part><PartNumber>{number}</PartNumber><LastModified>{moment(modified)}</LastModified>"
               f"<ETag>{escape(etag)}</ETag><Size>{size}</Size></Part>" for number, etag, size, modified in rows[:some]]
        more = len(rows) > some
        if more:
            xml.append(f"<NextPartNumberMarker>{rows[some - 1][0]}</NextPartNumberMarker>")
        self.page("ListPartsResult", xml, more)

    def number(self, name, default):
        value = self.query.get(name, str(default))
        if not value.isdigit():
            raise Refused(400, "InvalidArgument")
        return int(value)

    # Listings

    def list_uploads(self):
        """In the order of keys, and of ids below one key."""
        prefix, after = self.query.get("prefix", "").encode(), self.query.get("key-marker", "").encode()
        identity, some = self.query.get("upload-id-marker", ""), min(SOME, self.number("max-uploads", SOME))
        rows = self.server.store.db.execute(
            "SELECT id, key, begun FROM uploads WHERE key > ? OR (key = ? AND id > ?) ORDER BY key, id", [after, after, identity])
        rows = [row for row in rows if bytes(row[1]).startswith(prefix)]
        xml = [f"<Upload><Key>{text(key)}</Key><UploadId>{identity}</UploadId><Initiated>{moment(begun)}</Initiated></Upload>"
               for identity, key, begun in rows[:some]]
        more = len(rows) > some
        if more:
            identity, key, _ = rows[some - 1]
            xml.append(f"<NextKeyMarker>{text(key)}</NextKeyMarker><NextUploadIdMarker>{identity}</NextUploadIdMarker>")
        self.page("ListMultipartUploadsResult", xml, more)

    def page(self, root, xml, more):
        xml.append(f"<IsTruncated>{str(more).lower()}</IsTruncated>")
        xml = "".join(xml)
        self.reply(200, f"<?xml version='1.0' encoding='UTF-8'?><{root}>{xml}</{root}>", {"content-type": "application/xml"})

    def list(self):
        if self.command == "GET" and "uploads" in self.query:
            return self.list_uploads()
        if self.command != "GET" or self.query.get("list-type") != "2":
            raise Refused(405, "MethodNotAllowed")
        try:
            limit = min(1000, int(self.query.get("max-keys", "1000")))
            token = base64.b64decode(self.query["continuation-token"], b"-_", validate=True) if "continuation-token" in self.query else b""
        except (ValueError, binascii.Error):
            raise Refused(400, "InvalidArgument") from None
        prefix, delimiter = self.query.get("prefix", "").encode(), self.query.get("delimiter", "").encode()
        after = max(token, self.query.get("start-after", "").encode())
        entries, groups, last, more = [], [], after, False
        store = self.server.store
        with store.lock:
            rows = store.db.execute(
                "SELECT key, generation, etag, size, modified FROM objects WHERE key >= ? AND key > ? ORDER BY key", [prefix, after])
            for row in rows:
                key = bytes(row[0])
                if not key.startswith(prefix):
                    break
                end = key.find(delimiter, len(prefix)) if delimiter else -1
                group = key[: end + len(delimiter)] if end >= 0 else None
                # A page ended with this group.
                if group is not None and (group in groups[-1:] or (token and token.startswith(group))):
                    last = key
                    continue
                if len(entries) + len(groups) == limit:
                    more = True
                    break
                if group is not None:
                    groups.append(group)
                else:
                    entries.append(row)
                last = key
        xml = []
        for key, generation, etag, size, modified in entries:
            xml.append(f"<Contents><Key>{text(key)}</Key><Generation>{generation}</Generation><ETag>{escape(etag)}</ETag>"
                       f"<Size>{size}</Size><LastModified>{moment(modified)}</LastModified></Contents>")
        xml += [f"<CommonPrefixes><Prefix>{text(group)}</Prefix></CommonPrefixes>" for group in groups]
        if more:
            xml.append(f"<NextContinuationToken>{base64.urlsafe_b64encode(last).decode()}</NextContinuationToken>")
        self.page("ListBucketResult", xml, more)

    # For those who look from outside

    def admin(self):
        if self.headers.get("x-stub-secret") != self.server.secret:
            raise Refused(403, "AccessDenied")
        store = self.server.store
        if self.raw_path == "/_stub/uploads":
            rows = store.db.execute("SELECT id, key FROM uploads ORDER BY id").fetchall()
            prefix = self.query.get("prefix", "").encode()
            return self.reply(200, "".join(f"{identity}\n" for identity, key in rows if bytes(key).startswith(prefix)))
        if self.raw_path == "/_stub/put":
            self.read_all = True
            file, digest = store.spool(self.rfile.read, self.length)
            store.publish(self.query["key"].encode(), None, f'"{digest.hex()}"', self.length, {}, file)
            return self.reply(200)
        if self.raw_path == "/_stub/tokens":
            handed = self.server.handed
            if "life" in self.query:
                handed.life = int(self.query["life"])
            if "revoke" in self.query:
                self.server.tokens.clear()
            return self.reply(200, str(handed.count))
        raise Refused(404, "NoSuchKey")


class Handed:
    """Random tokens: their issuer remembers them."""

    def __init__(self, tokens):
        self.tokens, self.lock, self.life, self.count = tokens, threading.Lock(), 3600, 0

    def one(self):
        token = f"ya29.{secrets.token_urlsafe(32)}"
        with self.lock:
            self.tokens[token] = time.time() + self.life
            self.count += 1
        return {"access_token": token, "expires_in": self.life, "token_type": "Bearer"}


class Tokens(BaseHTTPRequestHandler):
    """Who hands out tokens."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def reply(self, status, answer, headers=None):
        body = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        """A refresh token for a short one. Each of the three must be right: RFC 6749, 5.2 and 6."""
        body = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
        form = urllib.parse.parse_qs(body, keep_blank_values=True)
        if self.path != "/token":
            return self.reply(404, {"error": "not_found"})
        wanted = ["grant_type", "client_id", "client_secret", "refresh_token"]
        once = all(len(form.get(name, [])) == 1 for name in wanted)
        if self.headers.get_content_type() != "application/x-www-form-urlencoded" or not once:
            return self.reply(400, {"error": "invalid_request"})
        grant, client, secret, refresh = (form[name][0] for name in wanted)
        user = self.server.user
        if grant != "refresh_token":
            return self.reply(400, {"error": "unsupported_grant_type"})
        if (client, secret) != (user["client_id"], user["client_secret"]):
            return self.reply(401, {"error": "invalid_client"})
        if refresh != user["refresh_token"]:
            return self.reply(400, {"error": "invalid_grant"})
        self.reply(200, self.server.handed.one())

    def do_GET(self):
        """The metadata service: it wants its own header, and no forwarded request."""
        flavor = {"metadata-flavor": "Google"}
        if self.headers.get("metadata-flavor") != "Google" or "x-forwarded-for" in self.headers:
            return self.reply(403, {"error": "forbidden"}, flavor)
        if self.path.split("?")[0] != "/computeMetadata/v1/instance/service-accounts/default/token":
            return self.reply(404, {"error": "not_found"}, flavor)
        self.reply(200, self.server.handed.one(), flavor)


def text(key):
    # What XML cannot hold is written as a reference, as the service does.
    escaped = escape(bytes(key).decode(errors="replace"))
    return re.sub(r"[\x00-\x1f\x7f]", lambda found: f"&#{ord(found[0])};", escaped)


def moment(seconds):
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unpadded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def main(port, token_port, folder, bucket, account, key, user, secret):
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.daemon_threads, server.tokens = True, {}
    server.store, server.bucket, server.email, server.secret = Store(folder), bucket, account, secret
    with open(key, "rb") as file:
        server.key = serialization.load_pem_public_key(file.read())
    tokens = ThreadingHTTPServer(("127.0.0.1", int(token_port)), Tokens)
    tokens.daemon_threads = True
    server.handed = tokens.handed = Handed(server.tokens)
    with open(user, "rb") as file:
        tokens.user = json.load(file)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
