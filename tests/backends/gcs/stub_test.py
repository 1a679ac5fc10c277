"""The stub refuses: each check of it is failed once here, beside the same request done right.

    python stub_test.py URL TOKENS_URL BUCKET EMAIL KEY_PEM WRONG_KEY_PEM USER_JSON ADMIN_SECRET
"""

import base64
import datetime
import gzip
import hashlib
import json
import re
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

URL, TOKENS, BUCKET, EMAIL, KEY, WRONG, USER, SECRET = sys.argv[1:9]
PLACE = f"{URL}/{BUCKET}/stub-test"


def signed(text, pem=KEY):
    with open(pem, "rb") as file:
        key = serialization.load_pem_private_key(file.read(), None)
    return key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())


def encoded(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(pem=KEY, alg="RS256", **claims):
    now = int(time.time())
    claims = {"iss": EMAIL, "iat": now, "exp": now + 3600,
              "scope": "https://www.googleapis.com/auth/devstorage.full_control", **claims}
    text = f"{encoded({'alg': alg})}.{encoded(claims)}"
    return f"{text}.{encoded(signed(text, pem))}"


def ask(method, url, body=None, authorization=True, **headers):
    headers = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    if authorization:
        headers["authorization"] = f"Bearer {token() if authorization is True else authorization}"
    headers.setdefault("content-type", "text/plain")
    request = urllib.request.Request(url, method=method, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers


def signed_url(path, method="GET", expires=600, start=None, pem=KEY, headers=None, **query):
    start = start or datetime.datetime.now(datetime.timezone.utc)
    date = start.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": "storage.googleapis.com", **(headers or {})}
    scope = f"{date[:8]}/auto/storage/goog4_request"
    query = {"X-Goog-Algorithm": "GOOG4-RSA-SHA256", "X-Goog-Credential": f"{EMAIL}/{scope}", "X-Goog-Date": date,
             "X-Goog-Expires": str(expires), "X-Goog-SignedHeaders": ";".join(sorted(headers)), **query}
    quoted = "&".join(sorted(f"{name}={urllib.parse.quote(value, safe='')}" for name, value in query.items()))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = "\n".join([method, path, quoted, lines, ";".join(sorted(headers)), "UNSIGNED-PAYLOAD"])
    text = "\n".join(["GOOG4-RSA-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    return f"{URL}{path}?{quoted}&X-Goog-Signature={signed(text, pem).hex()}"


def user(**wrong):
    """What an authorized user sends for a token; None leaves a field out."""
    with open(USER) as file:
        facts = json.load(file)
    form = {"grant_type": "refresh_token", **{name: facts[name] for name in ("client_id", "client_secret", "refresh_token")}, **wrong}
    return urllib.parse.urlencode({name: value for name, value in form.items() if value is not None}).encode()


class Stub(unittest.TestCase):
    def status(self, expected, method, url, *rest, **headers):
        status, body, found = ask(method, url, *rest, **headers)
        self.assertEqual(status, expected, body)
        return body, found

    def test_tokens(self):
        self.status(200, "PUT", f"{PLACE}/t", b"x")
        now = int(time.time())
        bad = ["garbage", token(pem=WRONG), token(iss="another@test"), token(scope="https://mail.google.com/"),
               token(iat=now - 7200, exp=now - 3600), token(exp=now + 90000), token(alg="none"),
               token()[:-4] + "AAAA", token().replace(".", "", 1)]
        for one in bad:
            self.status(401, "GET", f"{PLACE}/t", authorization=one)
        self.status(401, "GET", f"{PLACE}/t", authorization=False)

    def tokens(self, **query):
        """The stub's own door to tokens; how many it has handed out."""
        door = f"{URL}/_stub/tokens?{urllib.parse.urlencode(query)}"
        return int(self.status(200, "GET", door, authorization=False, x_stub_secret=SECRET)[0])

    def form(self, expected, body, **headers):
        headers = {"content_type": "application/x-www-form-urlencoded", **headers}
        return json.loads(self.status(expected, "POST", f"{TOKENS}/token", body, authorization=False, **headers)[0])

    def test_tokens_of_a_user(self):
        found = self.form(200, user())
        self.assertEqual((found["expires_in"], found["token_type"]), (3600, "Bearer"))
        self.status(404, "GET", f"{PLACE}/never-stored", authorization=found["access_token"])
        self.status(401, "GET", f"{PLACE}/never-stored", authorization=found["access_token"] + "x")
        before = self.tokens()
        for status, error, body in [
            (400, "invalid_grant", user(refresh_token="another")),
            (401, "invalid_client", user(client_id="another")),
            (401, "invalid_client", user(client_secret="another")),
            (400, "unsupported_grant_type", user(grant_type="password")),
            (400, "invalid_request", user(refresh_token=None)),
            (400, "invalid_request", user(client_secret=None)),
            (400, "invalid_request", user() + b"&refresh_token=another"),
            (400, "invalid_request", b""),
        ]:
            self.assertEqual(self.form(status, body)["error"], error, body)
        self.assertEqual(self.form(400, user(), content_type="text/plain")["error"], "invalid_request")
        self.status(404, "POST", f"{TOKENS}/another", user(), authorization=False)
        self.assertEqual(self.tokens(), before, "none was issued")

    def test_tokens_of_a_machine(self):
        accounts = f"{TOKENS}/computeMetadata/v1/instance/service-accounts"
        ask_as = lambda status, account="default", **headers: self.status(
            status, "GET", f"{accounts}/{account}/token?audience=x", authorization=False, **headers)
        before = self.tokens()
        ask_as(403)
        ask_as(403, metadata_flavor="google")
        ask_as(403, metadata_flavor="Google", x_forwarded_for="127.0.0.1")
        ask_as(404, "another", metadata_flavor="Google")
        self.assertEqual(self.tokens(), before, "none was issued")
        body, headers = ask_as(200, metadata_flavor="Google")
        self.assertEqual(headers["metadata-flavor"], "Google")
        self.status(404, "GET", f"{PLACE}/never-stored", authorization=json.loads(body)["access_token"])
        self.assertEqual(self.tokens(), before + 1)

    def test_tokens_end(self):
        ask_with = lambda status, token: self.status(status, "GET", f"{PLACE}/never-stored", authorization=token)
        revoked = self.form(200, user())["access_token"]
        ask_with(404, revoked)
        self.tokens(revoke="")
        ask_with(401, revoked)
        self.tokens(life=2)
        short = self.form(200, user())
        self.tokens(life=3600)
        self.assertEqual(short["expires_in"], 2)
        ask_with(404, short["access_token"])
        time.sleep(2.5)
        ask_with(401, short["access_token"])
        self.status(403, "GET", f"{URL}/_stub/tokens", authorization=False)

    def test_urls(self):
        path = f"/{BUCKET}/stub-test/a%20b"
        self.status(200, "PUT", URL + path, b"stored")
        good = signed_url(path)
        self.assertEqual(self.status(200, "GET", good, authorization=False)[0], b"stored")
        now = datetime.datetime.now(datetime.timezone.utc)
        other_byte = lambda found: "Signature=" + ("01" if found[1] == "00" else "00")
        for status, method, url in [
            (403, "DELETE", good),
            (403, "GET", good.replace("a%20b", "a")),
            (403, "GET", good.replace("Expires=600", "Expires=601")),
            (403, "GET", good + "&x=y"),
            (403, "GET", re.sub("Signature=(..)", other_byte, good)),
            (403, "GET", signed_url(path, pem=WRONG)),
            (400, "GET", signed_url(path, expires=604801)),
            (400, "GET", signed_url(path, expires=0)),
            (400, "GET", signed_url(path, expires=1, start=now - datetime.timedelta(seconds=5))),
            (403, "GET", signed_url(path, start=now + datetime.timedelta(hours=1))),
            (400, "GET", good.split("&X-Goog-Signature")[0]),
        ]:
            self.assertNotEqual((method, url), ("GET", good))
            self.status(status, method, url, authorization=False)
        self.status(200, "GET", signed_url(path, expires=604800), authorization=False)

    def test_urls_bind_headers_and_set_those_of_the_answer(self):
        path = f"/{BUCKET}/stub-test/typed"
        url = signed_url(path, "PUT", headers={"content-type": "image/png"})
        self.status(403, "PUT", url, b"x", authorization=False)
        self.status(200, "PUT", url, b"x", authorization=False, content_type="image/png")
        self.status(403, "PUT", url, b"x", authorization=False, content_type="image/png", x_goog_meta_a="b")
        url = signed_url(path, **{"response-content-type": "text/x"})
        self.assertEqual(self.status(200, "GET", url, authorization=False)[1]["content-type"], "text/x")

    def test_generations(self):
        url = f"{PLACE}/generation-{time.time_ns()}"
        self.status(412, "PUT", url, b"x", x_goog_if_generation_match=7)
        first = self.status(200, "PUT", url, b"x", x_goog_if_generation_match=0)[1]["x-goog-generation"]
        self.status(412, "PUT", url, b"y", x_goog_if_generation_match=0)
        second = self.status(200, "PUT", url, b"y", x_goog_if_generation_match=first)[1]["x-goog-generation"]
        self.status(412, "PUT", url, b"z", x_goog_if_generation_match=first)
        self.status(400, "PUT", url, b"z", x_goog_if_generation_match="any")
        self.status(412, "DELETE", url, x_goog_if_generation_match=first)
        source = f"{BUCKET}/stub-test/t"
        self.status(200, "PUT", f"{PLACE}/t", b"x")
        self.status(412, "PUT", url, b"", x_goog_copy_source=source, x_goog_if_generation_match=0)
        self.status(404, "GET", f"{url}?generation={first}")
        self.assertEqual(self.status(200, "GET", f"{url}?generation={second}")[0], b"y")
        self.status(204, "DELETE", url, x_goog_if_generation_match=second)
        self.status(404, "DELETE", url)

    def test_conditions_and_ranges(self):
        url = f"{PLACE}/read"
        etag = self.status(200, "PUT", url, b"0123456789")[1]["etag"]
        self.status(412, "GET", url, if_match='"x"')
        self.status(304, "GET", url, if_none_match=etag)
        later = "Fri, 01 Jan 2100 00:00:00 GMT"
        self.status(304, "GET", url, if_modified_since=later)
        self.status(412, "GET", url, if_unmodified_since="Thu, 01 Jan 1970 00:00:00 GMT")
        self.status(200, "GET", url, if_match=etag, if_unmodified_since="Thu, 01 Jan 1970 00:00:00 GMT")
        for wanted, found in [("2-4", b"234"), ("7-99", b"789"), ("8-", b"89"), ("-2", b"89"), ("-99", b"0123456789")]:
            self.assertEqual(self.status(206, "GET", url, range=f"bytes={wanted}")[0], found)
        for wanted in ("10-", "11-12", "5-4", "-0"):
            self.assertEqual(self.status(416, "GET", url, range=f"bytes={wanted}")[1]["content-range"], "bytes */10")

    def test_digests(self):
        right = base64.b64encode(hashlib.md5(b"x").digest()).decode()
        self.status(200, "PUT", f"{PLACE}/md5", b"x", content_md5=right)
        self.status(400, "PUT", f"{PLACE}/md5", b"y", content_md5=right)

    def test_what_is_packed_is_unpacked_for_who_does_not_take_it(self):
        packed = gzip.compress(b"plain")
        self.status(200, "PUT", f"{PLACE}/packed", packed, content_encoding="gzip")
        self.assertEqual(self.status(200, "GET", f"{PLACE}/packed", accept_encoding="identity")[0], b"plain")
        self.assertEqual(self.status(200, "GET", f"{PLACE}/packed", accept_encoding="gzip")[0], packed)

    def test_parts(self):
        url = f"{PLACE}/parts"
        body, _ = self.status(200, "POST", f"{url}?uploads=", b"")
        identity = re.search(rb"<UploadId>(.*?)<", body)[1].decode()
        put = lambda number, data: self.status(200, "PUT", f"{url}?partNumber={number}&uploadId={identity}", data)[1]["etag"]
        large, small = put(1, bytes(5 << 20)), put(2, b"x")
        done = lambda *parts: "<CompleteMultipartUpload>" + "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts) + "</CompleteMultipartUpload>"
        complete = f"{url}?uploadId={identity}"
        for parts in ([(2, small), (1, large)], [(1, small), (2, small)], [(2, small), (3, small)], []):
            self.status(400, "POST", complete, done(*parts).encode())
        tiny = put(1, b"tiny")
        self.status(400, "POST", complete, done((1, tiny), (2, small)).encode())
        put(1, bytes(5 << 20))
        self.status(400, "POST", complete, done((1, large), (2, small)).encode(), x_goog_if_generation_match=0)
        self.status(404, "GET", url)
        self.status(200, "POST", complete, done((1, large), (2, small)).encode())
        self.assertEqual(len(self.status(200, "GET", url)[0]), (5 << 20) + 1)
        self.status(404, "POST", complete, done((1, large)).encode())
        self.status(404, "PUT", f"{url}?partNumber=1&uploadId={identity}", b"x")
        self.status(404, "DELETE", complete)

    def test_unfinished_uploads_and_their_parts_are_listed_in_pages(self):
        listed = lambda more="": self.status(200, "GET", f"{URL}/{BUCKET}?uploads=&prefix=stub-test/unfinished{more}")[0].decode()
        found = lambda tag, page: re.findall(f"<{tag}>(.*?)</{tag}>", page)
        begin = lambda: self.status(200, "POST", f"{PLACE}/unfinished?uploads=", b"")[0].decode()
        begun = sorted(found("UploadId", begin())[0] for _ in range(3))
        first = listed()
        self.assertEqual((found("UploadId", first), found("IsTruncated", first)), (begun[:2], ["true"]))
        key, last = found("NextKeyMarker", first)[0], found("NextUploadIdMarker", first)[0]
        second = listed(f"&key-marker={key}&upload-id-marker={last}")
        self.assertEqual((found("UploadId", second), found("IsTruncated", second)), (begun[2:], ["false"]))
        upload = f"{PLACE}/unfinished?uploadId={begun[0]}"
        for number in (1, 2, 3):
            self.status(200, "PUT", f"{upload}&partNumber={number}", b"x")
        parts = self.status(200, "GET", upload)[0].decode()
        self.assertEqual((found("PartNumber", parts), found("NextPartNumberMarker", parts)), (["1", "2"], ["2"]))
        parts = self.status(200, "GET", f"{upload}&part-number-marker=2")[0].decode()
        self.assertEqual((found("PartNumber", parts), found("IsTruncated", parts)), (["3"], ["false"]))
        self.status(400, "GET", f"{upload}&part-number-marker=x")
        self.status(401, "GET", f"{URL}/{BUCKET}?uploads=", authorization="garbage")
        self.status(404, "GET", f"{PLACE}/another?uploadId={begun[0]}")
        for one in begun:
            self.status(204, "DELETE", f"{PLACE}/unfinished?uploadId={one}")
        self.assertEqual(found("UploadId", listed()), [])

    def test_the_rest(self):
        self.status(404, "GET", f"{URL}/another/t")
        self.status(403, "GET", f"{URL}/_stub/uploads", authorization=False)
        self.status(400, "GET", f"{URL}/{BUCKET}?list-type=2&continuation-token=!")
        self.status(404, "GET", f"{PLACE}/never-stored")

    def tearDown(self):
        body, _ = self.status(200, "GET", f"{URL}/{BUCKET}?list-type=2&prefix=stub-test/")
        for key in re.findall(rb"<Key>(.*?)</Key>", body):
            ask("DELETE", f"{URL}/{BUCKET}/{urllib.parse.quote(key)}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
