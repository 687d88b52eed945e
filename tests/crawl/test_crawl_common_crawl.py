"""Common Crawl from a server of our own that serves an index and ranges, and is busy now and then."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from test_crawl_warc import PAGE, THAI, response

from sampan.artifacts.documents import read_documents
from sampan.core.errors import InputError, StageError
from sampan.core.params import parse_params
from sampan.core.stage import Inputs, Runtime
from sampan.recipe.stages import STAGES

NAME = "crawl-data/CC-MAIN-2024-10/a.warc.gz"
LANGUAGES = ["tha", "tha,eng", "eng,tha", "eng", "lao"]


class Server(ThreadingHTTPServer):
    """Refuses every `busy`-th request; counts what is asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        members = [gzip.compress(response((PAGE + str(n)).encode(), f"http://x.th/{n}")) for n in range(len(LANGUAGES))]
        self.data, self.rows, self.asked, self.busy, self.fail_after, self.cut = b"", [], [], 0, 10**9, []
        for number, member in enumerate(members):
            self.rows.append(
                {
                    "url": f"http://x.th/{number}",
                    "filename": NAME,
                    "offset": str(len(self.data)),
                    "length": str(len(member)),
                    "status": "200",
                    "mime-detected": "text/html",
                    "digest": f"D{number}",
                    "languages": LANGUAGES[number],
                    "timestamp": "20240301000000",
                }
            )
            self.data += member


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range"), self.headers["User-Agent"]))
        if len(server.asked) > server.fail_after:
            return self.answer(500, b"")
        if server.busy and len(server.asked) % server.busy == 0:
            return self.answer(503 if len(server.asked) % 2 else 429, b"", {"Retry-After": "0"})
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if parts.path.endswith("-index"):
            if query["url"] == ["none.th"]:
                return self.answer(404, b'{"message": "No Captures found"}')
            if "showNumPages" in query:
                return self.answer(200, b'{"pages": 2, "pageSize": 5, "blocks": 2}')
            page = int(query["page"][0])
            rows = server.rows[:2] if page == 0 else server.rows[1:]
            return self.answer(200, "\n".join(map(json.dumps, rows)).encode() + b"\nnot json\n")
        if parts.path != f"/{NAME}":
            return self.answer(404, b"")
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        return self.answer(206, server.data[first : last + 1])

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:-7] if len(self.server.asked) in self.server.cut else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def fetch(server, tmp_path, out="out", state="state", **params):
    stage = STAGES.load("crawl.common_crawl")
    base = f"http://127.0.0.1:{server.server_port}/"
    given = {
        "crawls": ["CC-MAIN-2024-10"],
        "urls": ["*.th"],
        "index_server": base,
        "data_server": base,
        "requests_per_second": 1000,
        "retry_seconds": 0.001,
        **params,
    }
    runtime = Runtime(out=tmp_path / out, state=tmp_path / state)
    runtime.out.mkdir()
    runtime.state.mkdir(exist_ok=True)
    return stage.run(parse_params(stage.params, given, where="test"), Inputs({}), runtime), runtime.out


def test_pages_of_a_language_and_their_list(server, tmp_path, run_stage):
    metrics, out = fetch(server, tmp_path, languages=["th"])
    rows = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    assert [row["languages"] for row in rows] == ["tha", "tha,eng"]
    assert metrics["records"] == 2
    assert metrics["dropped"] == {"no_place": 2, "unwanted_language": 3}
    assert all("sampan" in agent for *_, agent in server.asked)
    assert "languages%3A.%2A%28tha%29" in server.asked[0][0]
    _, made = run_stage("crawl.warc", {}, {"files": [out]})
    documents = list(read_documents(made))
    assert [d.url for d in documents] == ["http://x.th/0", "http://x.th/1"]
    assert THAI.strip() in documents[0].text


def test_a_busy_server_changes_nothing_but_the_waits(server, tmp_path):
    calm, first = fetch(server, tmp_path, out="calm", state="s1")
    server.busy = 3
    busy, second = fetch(server, tmp_path, out="busy", state="s2")
    for name in ("index.jsonl", "pages.warc.gz"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert calm["records"] == busy["records"] == 5
    assert busy["waits"] > calm["waits"] == 0


def test_what_was_fetched_is_not_fetched_again(server, tmp_path):
    server.fail_after = 5  # three for the index, two records
    with pytest.raises(StageError, match="no answer after 2 tries"):
        fetch(server, tmp_path, out="one", retries=2)
    data, journal = tmp_path / "state/pages.warc.gz", tmp_path / "state/journal.jsonl"
    with open(data, "ab") as file:  # what a kill leaves between a record and its line in the journal
        file.write(b"half a record")
    with open(journal, "a") as file:
        file.write("[12")
    server.fail_after, before = 10**9, len(server.asked)
    metrics, out = fetch(server, tmp_path, out="two", retries=2)
    asked = server.asked[before:]
    assert len(asked) == 3, "the index is not asked again, nor the first two records"
    assert metrics["records"] == 5
    assert (out / "pages.warc.gz").read_bytes() == server.data


def test_each_record_that_fails_is_counted(server, tmp_path):
    server.rows[0]["filename"] = "a-gone.warc.gz"
    server.rows[1]["offset"] = "3"
    server.rows[2]["mime-detected"] = "application/pdf"
    server.rows[3]["length"] = "99999999"
    server.rows[4]["digest"] = "D0"
    metrics, _ = fetch(server, tmp_path)
    assert metrics["dropped"] == {
        **{"http_404": 1, "not_a_record": 1, "not_html": 1, "too_large": 1, "same_payload": 1},
        "no_place": 2,  # the line of each page that is none
    }


def test_nothing_found_is_an_error(server, tmp_path):
    with pytest.raises(InputError, match="knows no such page"):
        fetch(server, tmp_path, urls=["none.th"])


def test_an_answer_cut_off_is_asked_for_again(server, tmp_path):
    """Python's client takes a connection that ends too soon for the end of the body."""
    server.cut = [2, 5]  # an answer of the index, a record
    metrics, out = fetch(server, tmp_path)
    assert metrics["records"] == 5
    assert metrics["waits"] == 2
    assert (out / "pages.warc.gz").read_bytes() == server.data


@pytest.mark.parametrize("field", ["offset", "length"])
@pytest.mark.parametrize("value", ["\u00b2", "9" * 5000, "-1", None, ["1"], {}])
def test_rows_of_nonsense_are_counted(server, tmp_path, field, value):
    server.rows[4][field] = value
    metrics, _ = fetch(server, tmp_path)
    assert metrics["records"] == 4
    assert metrics["dropped"] == {"no_place": 3}
