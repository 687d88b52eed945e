"""The chat page in a real browser, talking to a live server."""

from __future__ import annotations

import itertools
import json
import shutil
from urllib.parse import urlsplit

import pytest


@pytest.fixture
def open_page(browser):
    """open_page(url, **options) -> page; afterwards: no errors in its console, no word to another host."""
    opened = []

    def make(url, **options):
        page = browser.new_page(**options)
        page.set_default_timeout(10_000)
        page.problems, page.hosts = [], set()
        page.on("console", lambda message: message.type == "error" and page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("request", lambda request: page.hosts.add(urlsplit(request.url).netloc))
        opened.append((page, urlsplit(url).netloc))
        page.goto(url)
        wait(page, "document.title === 'mini'")
        return page

    yield make
    for page, host in opened:
        assert page.problems == []
        assert page.hosts - {""} == {host}
        page.close()


def wait(page, true):
    """Until the JavaScript expression `true` is; Playwright's own waiting needs eval, which the page forbids."""
    for _ in range(500):
        if page.evaluate(true):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never true: {true}")


def ask(page, text):
    before = page.locator(".assistant").count()
    page.fill("#text", text)
    page.press("#text", "Enter")
    wait(page, f"document.querySelectorAll('.assistant').length > {before} && !$('send').hidden")
    return page.locator(".assistant .bubble").last.text_content()


@pytest.fixture(scope="module")
def short_url(running, model_folder, tmp_path_factory):
    """A server whose answers are short by default."""

    folder = tmp_path_factory.mktemp("short") / "model"
    shutil.copytree(model_folder, folder)
    defaults = {"do_sample": False, "max_new_tokens": 24}
    (folder / "generation_config.json").write_text(json.dumps(defaults), encoding="utf-8")
    with running(folder) as url:
        yield url


def test_a_conversation_with_undo_retry_and_clear(open_page, short_url):
    page = open_page(short_url)
    first = ask(page, "สวัสดีครับ")
    assert first
    assert page.locator(".user .bubble").all_text_contents() == ["สวัสดีครับ"]
    page.click("#retry")
    wait(page, "!$('send').hidden && document.querySelectorAll('.assistant').length === 1")
    assert page.locator(".assistant .bubble").text_content() == first, "at temperature 0 it answers the same"
    ask(page, "again")
    page.click("#undo")
    assert page.locator(".user").count() == 1
    assert page.input_value("#text") == "again"
    page.click("#clear")
    assert page.locator(".turn").count() == 0


def test_markup_stays_text(open_page, short_url):
    page = open_page(short_url)
    ask(page, "<img src=x onerror=alert(1)><b>bold</b>")
    assert page.locator(".user .bubble").text_content() == "<img src=x onerror=alert(1)><b>bold</b>"
    assert page.locator(".bubble *").count() == 0


def test_stop_ends_a_long_answer_and_keeps_what_came(open_page, url):
    page = open_page(url)
    page.evaluate("$('temperature').value = 0")
    page.fill("#text", "tell me all")
    page.press("#text", "Enter")
    # Clicked inside the page: on a quick machine the answer would be over before a click from outside arrives.
    page.evaluate(
        """() => new Promise((done) => {
          const timer = setInterval(() => {
            if ((document.querySelector('.assistant .bubble')?.textContent.length || 0) > 20) {
              clearInterval(timer); document.querySelector('#stop').click(); done();
            }
          }, 1);
        })"""
    )
    page.wait_for_selector("#send:visible")
    assert len(page.locator(".assistant .bubble").text_content()) > 20
    assert page.locator("#problem").is_hidden()


def test_system_prompt_and_temperature_are_sent(open_page, short_url):

    page = open_page(short_url)
    page.click("#toggle")
    page.fill("#system", "be kind")
    page.fill("#temperature", "0.5")
    with page.expect_request("**/v1/chat/completions") as sent:
        ask(page, "hi")
    body = json.loads(sent.value.post_data)
    assert body["messages"] == [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    assert (body["temperature"], body["stream"], body["model"]) == (0.5, True, "mini")


def test_token_is_asked_for_and_kept(open_page, guarded_url):
    page = open_page(guarded_url)
    assert page.locator("#token").is_visible()
    page.fill("#text", "hi")
    page.press("#text", "Enter")
    page.wait_for_selector("#problem:visible")
    assert "token" in page.locator("#problem").text_content()
    page.problems.clear()  # the browser itself logs the refused request
    page.fill("#token", "s3cret")
    page.click("#retry")
    page.wait_for_selector(".assistant")
    page.wait_for_selector("#send:visible")
    assert page.locator("#problem").is_hidden()
    page.reload()
    wait(page, "document.title === 'mini'")
    assert page.input_value("#token") == "s3cret"


def test_a_dead_server_is_said(open_page, running, model_folder):
    with running(model_folder) as url:
        page = open_page(url)
    page.fill("#text", "anyone there?")
    page.press("#text", "Enter")
    page.wait_for_selector("#problem:visible")
    assert "cannot be reached" in page.locator("#problem").text_content()
    assert not page.locator("#retry").is_disabled()
    page.problems.clear()  # the browser itself logs the refused connection


def test_nothing_is_wider_than_the_screen(open_page, short_url):
    page = open_page(short_url)
    page.click("#toggle")
    ask(page, "ជំរាបសួរ" * 30 + " " + "x" * 300)
    for width, scheme in itertools.product((320, 390, 1440), ("light", "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("#send").is_visible()
        box = page.locator("#text").bounding_box()
        assert box["y"] + box["height"] <= 800
