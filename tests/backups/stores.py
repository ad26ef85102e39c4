#!/usr/bin/env python3
"""Backups in object stores: S3 (moto), Azure (azurite), and a store that loses bytes.

tests/backups/run starts it; NODE and AZURITE name the programs of azurite. Nothing leaves the machine.
"""

import base64
import email.utils
import hashlib
import hmac
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.parse
import urllib.request

from servers import Refused, Server, free_port, tool, wait_until

AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

# The account that every azurite has, which its documentation names.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
AZURE = {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY}


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


class Store:
    """A program that is a store."""

    def __init__(self, command, port):
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: answers(self.url), "the store answers")

    def stop(self):
        self.process.kill()
        self.process.wait()


def moto(port=None):
    port = port or free_port()
    program = os.path.join(os.path.dirname(sys.executable), "moto_server")
    store = Store([program, "-H", "127.0.0.1", "-p", str(port)], port)
    urllib.request.urlopen(urllib.request.Request(f"{store.url}/backups", method="PUT"), timeout=30).close()
    return store


def azurite(directory):
    port = free_port()
    command = [os.environ["NODE"], os.environ["AZURITE"], "--blobPort", str(port), "--location", directory]
    store = Store([*command, "--silent", "--skipApiVersionCheck", "--disableTelemetry"], port)
    date = email.utils.formatdate(usegmt=True)
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06"}
    named = "".join(f"{name}:{value}\n" for name, value in headers.items())
    text = "PUT" + "\n" * 12 + f"{named}/{ACCOUNT}/{ACCOUNT}/backups\nrestype:container"
    signature = hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"
    url = f"{store.url}/{ACCOUNT}/backups?restype=container"
    urllib.request.urlopen(urllib.request.Request(url, headers=headers, method="PUT"), timeout=30).close()
    return store


class Losing(http.server.BaseHTTPRequestHandler):
    """As much of S3 as an upload takes; what is read back has another byte."""

    parts = {}

    def log_message(self, *_):
        pass

    def reply(self, body=b"", **headers):
        self.send_response(206 if "content_range" in headers else 200)
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", email.utils.formatdate(usegmt=True))
        headers.setdefault("content_length", len(body))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def do_POST(self):
        self.body()
        if "uploads" in self.path:
            self.parts.clear()
            names = "<Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId>"
            return self.reply(f"<InitiateMultipartUploadResult>{names}</InitiateMultipartUploadResult>".encode())
        names = "<Bucket>b</Bucket><Key>k</Key><ETag>1</ETag>"
        return self.reply(f"<CompleteMultipartUploadResult>{names}</CompleteMultipartUploadResult>".encode())

    def do_PUT(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        self.parts[int(query["partNumber"][0])] = self.body()
        self.reply()

    def data(self):
        data = bytearray(b"".join(self.parts[number] for number in sorted(self.parts)))
        data[len(data) // 2] ^= 1
        return bytes(data)

    def do_HEAD(self):
        self.reply(content_length=len(self.data()))

    def do_GET(self):
        data = self.data()
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["range"]).groups())
        self.reply(data[first : last + 1], content_range=f"bytes {first}-{last}/{len(data)}")


class Stores(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.data = os.path.join(self.root, "data")
        self.addCleanup(shutil.rmtree, self.root)

    def flags(self, provider, endpoint):
        return [
            *("--cloud-backup-enabled", "yes", "--cloud-backup-provider", provider),
            *("--cloud-backup-bucket", "backups", "--cloud-backup-prefix", "prod/"),
            *("--cloud-backup-endpoint", endpoint),
        ]

    def fill(self, server):
        """Writes more than one part of an upload has."""
        with server.client.pipeline(transaction=False) as pipe:
            for index in range(12):
                pipe.set(f"key:{index}", os.urandom(1 << 20).hex())
            pipe.execute()
        return server.state()

    def check(self, provider, endpoint, environment):
        flags = self.flags(provider, endpoint)
        with Server(self.data, *flags, environment=environment) as server:
            state = self.fill(server)
            path = server.client.execute_command("BACKUP", "NOW")
            wait_until(lambda: server.info()["backup_cloud_sent"] == 1, "the backup is sent")
            info = server.info()
            self.assertEqual((info["backup_cloud_last_status"], info["backup_cloud_waiting"]), ("ok", 0))
            url = info["backup_cloud_last_url"]
            self.assertTrue(url.endswith(f"/backups/prod/{os.path.basename(path)}") or "//backups/prod/" in url, url)
            self.assertNotIn(environment.get("AZURE_STORAGE_ACCOUNT_KEY", "no key"), server.log())
        other = os.path.join(self.root, "other")
        tool("restore", url, "--endpoint", endpoint, "--dir", other, environment=environment)
        with Server(other) as server:
            self.assertEqual(server.state(), state)
        third = os.path.join(self.root, "third")
        with Server(third, *flags, "--restore", url, environment=environment, shards=1) as server:
            self.assertEqual(server.state(), state)
        self.assertEqual(sorted(os.listdir(third)), ["dump.rdb", "lock"])
        said = tool("restore", url + "x", "--endpoint", endpoint, "--dir", self.root, code=4, environment=environment)
        self.assertIn("nothing was changed", said)
        with self.assertRaises(Refused):
            Server(os.path.join(self.root, "fourth"), *flags, "--restore", url + "x", environment=environment)

    def test_a_backup_goes_to_s3_and_comes_back(self):
        store = moto()
        self.addCleanup(store.stop)
        self.check("s3", store.url, AWS)

    def test_a_backup_goes_to_azure_and_comes_back(self):
        store = azurite(os.path.join(self.root, "azurite"))
        self.addCleanup(store.stop)
        self.check("azure", f"{store.url}/{ACCOUNT}", AZURE)

    def test_a_store_that_is_away_is_told_and_gets_the_backup_later(self):
        port = free_port()
        flags = self.flags("s3", f"http://127.0.0.1:{port}")
        with Server(self.data, *flags, environment=AWS) as server:
            server.client.set("a", 1)
            server.client.execute_command("BACKUP", "NOW")
            wait_until(lambda: server.info()["backup_cloud_failed"] > 0, "the failure is told")
            info = server.info()
            self.assertEqual((info["backup_cloud_last_status"], info["backup_cloud_waiting"]), ("err", 1))
            self.assertEqual(info["backup_last_status"], "ok")
            store = moto(port)
            self.addCleanup(store.stop)
            wait_until(lambda: server.info()["backup_cloud_sent"] == 1, "the backup is sent")
            self.assertEqual(server.info()["backup_cloud_last_status"], "ok")

    def test_a_store_that_loses_a_byte_is_noticed(self):
        losing = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Losing)
        threading.Thread(target=losing.serve_forever, daemon=True).start()
        self.addCleanup(losing.shutdown)
        flags = self.flags("s3", f"http://127.0.0.1:{losing.server_port}")
        with Server(self.data, *flags, environment=AWS) as server:
            server.client.set("a", "x" * 100)
            server.client.execute_command("BACKUP", "NOW")
            wait_until(lambda: server.info()["backup_cloud_failed"] > 0, "the failure is told")
            self.assertIn("is not what was sent", server.log())
            self.assertEqual(server.info()["backup_cloud_sent"], 0)

    def test_a_bucket_that_is_missing_keeps_the_server_from_starting(self):
        with self.assertRaises(Refused) as refused:
            Server(self.data, "--cloud-backup-enabled", "yes")
        self.assertEqual(refused.exception.code, 78)
        self.assertIn("cloud-backup-bucket", refused.exception.log)


if __name__ == "__main__":
    unittest.main()
