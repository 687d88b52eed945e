"""Pages and rows in an object store, read by a recipe as a user gives them: `url:s3://…` and an endpoint to ask."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = """
recipe: bucket
inputs:
  web: "url:s3://pages/crawl/"
  again: "url:s3://pages/crawl/*.warc.gz"
  rows: "url:s3://pages/rows.jsonl#sha256={digest}"
stages:
  crawled: {{stage: crawl.warc, from: {{files: web}}}}
  same: {{stage: crawl.warc, from: {{files: again}}}}
  read: {{stage: crawl.table, from: {{files: rows}}}}
  unique: {{stage: corpus.dedup, from: {{documents: [crawled, read]}}}}
"""
TEXT = "Buku yang lama disimpan di perpustakaan kota, dan setiap orang boleh membacanya pada hari kerja. "


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """The environment of a user of a local S3 server that holds a WARC file and a table."""
    if not os.environ.get("CI"):
        pytest.importorskip("moto", reason="needs moto and s3fs")
        pytest.importorskip("s3fs", reason="needs moto and s3fs")
    import boto3
    from moto.server import ThreadedMotoServer

    folder = tmp_path_factory.mktemp("bucket")
    given = {"part": "pages", "num_documents": 6, "languages": "[ind_Latn]"}
    call("do", "corpus.village", "--out", folder / "village", *(f"--with={k}={v}" for k, v in given.items()))
    (warc,) = (folder / "village").glob("*.warc.gz")
    (folder / "rows.jsonl").write_text(json.dumps({"text": TEXT * 3, "lang": "ind_Latn"}) + "\n")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    names = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )
    client.create_bucket(Bucket="pages")
    client.upload_file(str(warc), "pages", "crawl/pages.warc.gz")
    client.upload_file(str(folder / "rows.jsonl"), "pages", "rows.jsonl")
    yield {**names, "AWS_ENDPOINT_URL": endpoint}, folder / "rows.jsonl"
    server.stop()


def call(*words, env=None) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "sampan.cli.main", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})})
    assert env is not None or done.returncode == 0, done.stderr
    return done


def _recipe(folder: Path, rows: Path) -> Path:
    path = folder / "bucket.yaml"
    path.write_text(RECIPE.format(digest=hashlib.sha256(rows.read_bytes()).hexdigest()))
    return path


@pytest.mark.slow
def test_pages_and_rows_of_a_bucket_become_documents(bucket, tmp_path):
    env, rows = bucket
    recipe, store = _recipe(tmp_path, rows), tmp_path / "store"
    done = call("run", recipe, "--store", store, env=env)
    assert done.returncode == 0, done.stderr
    shown = json.loads(call("plan", recipe, "--store", store, "--json").stdout)
    manifests = [json.loads(next(store.glob(f"keys/*/{stage['key']}.json")).read_text()) for stage in shown["stages"]]
    counts = {manifest["name"]: manifest["metrics"]["documents"] for manifest in manifests}
    assert counts["read"] == 1
    assert counts["crawled"] >= 3
    assert counts["unique"] >= 2
    keys = {stage["name"]: stage["key"] for stage in shown["stages"]}
    assert keys["same"] == keys["crawled"], "a folder and a pattern that hold the same files are the same input"


@pytest.mark.slow
def test_a_file_that_is_not_in_the_bucket_is_named(bucket, tmp_path):
    env, rows = bucket
    recipe = _recipe(tmp_path, rows)
    recipe.write_text(recipe.read_text().replace('crawl/"', 'crawl/other.warc.gz"'))
    done = call("run", recipe, "--store", tmp_path / "store", env=env)
    assert done.returncode
    assert "s3://pages/crawl/other.warc.gz: cannot be fetched" in done.stderr
    assert "Traceback" not in done.stderr
