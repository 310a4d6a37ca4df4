"""``serve``: a page on this computer alone, which answers for a dropped picture and survives whatever is dropped."""

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from clip_prompts import load_prompt
from clip_prompts.common.errors import UserError
from clip_prompts.prompt.cli import main, parse
from clip_prompts.prompt.neighbours import training_of
from clip_prompts.prompt.serving import Answers, is_loopback, served
from clip_prompts.report import pictures
from clip_prompts.report.reading import ReportError
from tests.conftest import ROOT

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def answers(learned):
    prompt = load_prompt(learned / "run")
    return Answers(prompt, training_of(prompt, learned / "run"))


@pytest.fixture(scope="module")
def looked_up():
    """Names of the computers that this process has looked up since the page was started."""
    names, look_up = set(), socket.getaddrinfo

    def watched(host, *arguments, **options):
        names.add(host.decode() if isinstance(host, bytes) else host)
        return look_up(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", watched)
        yield names


@pytest.fixture(scope="module")
def url(answers, looked_up):
    pytest.importorskip("gradio")
    with served(answers, port=0) as found:
        yield found


@pytest.fixture
def view(url):
    """The page in a browser, with the addresses of its requests and its errors."""
    try:
        with pictures.browser() as opened:
            page = opened.new_page()
            page.asked = []
            page.on("request", lambda request: page.asked.append(request.url))
            page.goto(url)
            page.wait_for_selector("#classes textarea", timeout=60_000)
            yield page
    except ReportError as error:
        pytest.skip(str(error))


def bars(page, which):
    """(class name, percents) of the bars, as they are written."""
    page.wait_for_function(f"document.querySelectorAll('#{which} dt').length > 0", timeout=60_000)
    names, values = (page.locator(f"#{which} {tag}").all_inner_texts() for tag in ("dt", "dd:last-child"))
    return list(zip([name.strip() for name in names], [value.strip() for value in values], strict=True))


def test_a_dropped_picture_gets_bars_of_both_and_nothing_leaves_the_computer(view, url, learned, answers, looked_up):
    picture = learned / "pictures/red_ball/0.png"
    view.set_input_files("input[type=file]", str(picture))
    prompt = answers.prompt
    (expected,) = prompt.predict([picture])
    zero_shot = prompt.zero_shot(prompt.features_raw([picture]))[0]
    best = zero_shot.topk(4)
    shown = bars(view, "learned"), bars(view, "zero-shot")
    assert [name for name, _ in shown[0]] == expected.names
    assert [name for name, _ in shown[1]] == [prompt.classes[i] for i in best.indices]
    for rows, values in zip(shown, (expected.probabilities, best.values.tolist()), strict=True):
        assert [text for _, text in rows] == [f"{round(100 * value)}%" for value in values]
    view.wait_for_selector("#nearest img")

    view.fill("#classes textarea", "a red thing\na blue thing")
    view.get_by_role("button", name="Classify").click()
    view.wait_for_function("document.querySelectorAll('#learned dt').length === 2")
    assert {name for name, _ in bars(view, "learned")} == {"a red thing", "a blue thing"}

    assert len(view.asked) > 10
    outside = [address for address in view.asked if not address.startswith((url, "data:", "blob:"))]
    assert outside == [] and looked_up == {"127.0.0.1"}


def test_errors_are_a_line_on_the_page_and_the_server_stays_up(view, learned, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    view.set_input_files("input[type=file]", str(tmp_path / "broken.png"))
    view.wait_for_function("document.querySelector('#note')?.innerText.includes('not a picture')")
    view.reload()
    view.wait_for_selector("#classes textarea")
    view.fill("#classes textarea", "dog\n" + "very " * 100 + "long")
    view.set_input_files("input[type=file]", str(learned / "pictures/red_ball/0.png"))
    view.wait_for_function("document.querySelector('#note')?.innerText.includes('long')")
    view.fill("#classes textarea", "dog\ncat")
    view.get_by_role("button", name="Classify").click()
    assert {name for name, _ in bars(view, "learned")} == {"dog", "cat"}
    assert view.locator("#note").inner_text().strip() == ""


def test_only_this_computer_reaches_the_page(url, answers):
    port = int(url.rstrip("/").rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    with pytest.raises(OSError):  # would be accepted by a server of all addresses
        socket.create_connection(("127.0.0.2", port), timeout=5)
    with pytest.raises(UserError, match=f"cannot be served at 127.0.0.1:{port}"), served(answers, port=port):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_and_removes_uploaded_pictures(number, learned, tmp_path):
    pytest.importorskip("gradio")
    command = [sys.executable, str(ROOT / "tools/prompt.py"), "serve", str(learned / "run"), "--port", "0"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert "The page is at http://127.0.0.1:" in server.stdout.readline()
            assert list(tmp_path.glob("clip-prompts-*"))
            server.send_signal(number)
            assert server.wait(timeout=30) == 0
        finally:
            server.kill()
    assert not list(tmp_path.glob("clip-prompts-*"))


@pytest.mark.parametrize("host, warns", [("127.0.0.1", False), ("0.0.0.0", True)])
def test_another_address_is_warned_of(host, warns, learned, monkeypatch, capsys):
    seen = []

    def stop(_, host, port):
        seen.append((host, port))
        raise UserError("stopped here")

    monkeypatch.setattr("clip_prompts.prompt.serving.served", stop)
    assert main(["serve", str(learned / "run"), "--host", host, "--port", "7000"]) == 2
    assert seen == [(host, 7000)] and ("Warning: everybody who can reach" in capsys.readouterr().err) == warns
    assert is_loopback(parse(["serve", "run"]).host)


def test_a_missing_gradio_is_one_line(answers, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match="pip install gradio"), served(answers):
        pass


def test_users_who_ask_at_once_get_their_own_answers(answers, learned, monkeypatch):
    files = [str(path) for path in sorted((learned / "pictures").glob("*/[01].png"))]
    lists = ["\n".join(answers.prompt.classes), "red\nblue", "dog\ncat\nball"]
    asked = [(file, text) for file in files for text in lists]
    alone = [answers.classify(*one)[0] for one in asked]
    inside, most, rank = threading.Semaphore(1), [], answers.prompt.rank

    def watched(*arguments):
        most.append(inside.acquire(blocking=False))
        try:
            return rank(*arguments)
        finally:
            inside.release()

    monkeypatch.setattr(answers.prompt, "rank", watched)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: answers.classify(*one)[0], asked))
    assert together == alone and all(most)
    assert len(answers.prompt._methods) <= 2  # lists that users tried are not kept


def test_the_nearest_training_picture_is_that_of_the_class(answers, learned, tmp_path):
    training = answers.training
    assert len(training.paths) == 12  # 3 shots of 4 classes
    feature = answers.prompt.features_raw([training.paths[5]])[0]
    found = training.nearest(feature, [*answers.prompt.classes, "unknown"])
    assert found.keys() == set(answers.prompt.classes) and found[training.names[5]] == training.paths[5]
    for name, path in found.items():
        assert name.replace(" ", "_") in path


def test_training_pictures_that_take_too_long_are_left_out(answers, learned, tmp_path, monkeypatch):
    assert training_of(answers.prompt, learned / "run", seconds=-1) is not None  # their features are kept on disk
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("clip_prompts.prompt.pictures.BATCH", 4)
    assert training_of(answers.prompt, learned / "run", seconds=-1) is None
    assert training_of(answers.prompt, learned / "run") is not None


def test_training_pictures_that_cannot_be_found_are_left_out(answers, learned, tmp_path):
    assert training_of(answers.prompt, learned / "run/prompt") is None  # a prompt alone
    assert training_of(answers.prompt, tmp_path) is None
    moved = learned / "moved"
    (learned / "pictures").rename(moved)
    try:
        assert training_of(answers.prompt, learned / "run") is None
        (learned / "pictures").mkdir()
        assert training_of(answers.prompt, learned / "run") is None
        (learned / "pictures").rmdir()
    finally:
        moved.rename(learned / "pictures")


def test_a_list_of_classes_is_checked(answers):
    assert answers.names_of("\n".join(answers.prompt.classes) + "\n\n") is None
    with pytest.raises(UserError, match="is empty"):
        answers.names_of(" \n")
    with pytest.raises(UserError, match="more than 2,000 classes"):
        answers.names_of("\n".join(map(str, range(2001))))


def test_ports_are_numbers_of_ports(learned, capsys):
    assert main(["serve", str(learned / "run"), "--port", "99999"]) == 2
    assert "--port 99999 is not a port" in capsys.readouterr().err
