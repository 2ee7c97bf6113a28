"""What happened while nobody looked, and who is told without asking."""

from __future__ import annotations

import http.server
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from idle_sweep import idle_sweep
from job_folders import eventually

from sgonz.cli.main import sgonz
from sgonz.cluster.profile import NotifyTable, load_profile
from sgonz.coordinator import notices
from sgonz.coordinator.turn import turn
from sgonz.errors import SpecError
from sgonz.looking import seen
from sgonz.plan.decide import Decision
from sgonz.plan.happenings import Happening, happenings
from sgonz.plan.runs import Kind, State
from sgonz.plan.state import RunRow
from sgonz.rundir import Workdir
from sgonz.workdir.journal import Journal

ROWS = ("dataset,model,learning_rate,batch_size,epochs,validation_loss,validation_score,seconds\n"
        "pos,beto,5e-5,16,3,0.5,80,3600\npos,albeto,5e-5,16,3,0.4,81,7200\nner,beto,5e-5,16,3,nan,0,9\n")  # fmt: skip


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SGONZ_WORKDIR", str(tmp_path))
    (tmp_path / "study.csv").write_text(ROWS)
    run("import", str(tmp_path / "study.csv"))
    return tmp_path


def run(*arguments: str) -> str:
    found = CliRunner().invoke(sgonz, arguments, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def answer(*arguments: str) -> Any:
    return json.loads(run("history", *arguments, "--format", "json"))


class TestHistory:
    def test_everything_since_the_start_is_told(self, work: Path) -> None:
        text = run("history", "--since", "start")
        assert "finished   2 finetune" in text
        assert "finetune ner beto" in text
        assert "(sgonz logs " in text
        assert "finetune pos albeto  loss 0.4000  f1 81.00" in text
        assert "now        2 completed, 1 failed" in text

    def test_what_was_told_is_not_told_again(self, work: Path) -> None:
        assert answer()["ended"] == {"COMPLETED": 2, "FAILED": 1}
        assert answer()["ended"] == {}
        assert answer("--since", "1h")["ended"] == {"COMPLETED": 2, "FAILED": 1}

    def test_a_span_does_not_count_as_having_looked(self, work: Path) -> None:
        answer("--since", "1h")
        assert answer()["ended"] == {"COMPLETED": 2, "FAILED": 1}

    def test_gates_and_what_people_decided_come_from_the_journal(self, work: Path) -> None:
        journal = Journal(Workdir(work).journal)
        teacher = json.loads(run("results", "--all", "--format", "json"))[0]["run_id"]
        journal.write("gate", dataset="pos", teacher=teacher, reason="best by validation_loss", students=3)
        journal.write(
            "gate", dataset="pos", teacher=teacher, reason="best by validation_loss", students=3
        )  # again
        journal.write("gate", dataset="elsewhere", teacher=teacher, reason="of another sweep", students=3)
        journal.write("held", runs=["a", "b"], reason="its job was cancelled in the cluster")
        journal.write(
            "pause", sweep="study", order={"what": "pause", "where": "dataset = pos", "reason": "exams"}
        )
        journal.write("pause", sweep="another", order={"what": "pause", "reason": "not ours"})
        found = answer()
        assert [gate["dataset"] for gate in found["gates"]] == ["pos"]
        assert [(row["what"], row["runs"]) for row in found["decisions"]] == [("held", 2), ("pause", None)]
        text = run("history", "--since", "start")
        assert "teaches (best by validation_loss)" in text
        assert "pause exams, where dataset = pos" in text

    def test_later_best_is_told_with_the_one_before(self, work: Path) -> None:
        with closing(sqlite3.connect(work / "sgonz.db")) as store, store:
            store.execute("UPDATE runs SET changed = 1.0 WHERE model = 'beto'")
        [best] = answer("--since", "1h")["bests"]
        assert (best["model"], best["score"], best["score_before"]) == ("albeto", 81.0, 80.0)
        assert "(before 80.00)" in run("history", "--since", "1h")

    @pytest.mark.parametrize("output", ["csv", "markdown"])
    def test_rows_for_programs(self, work: Path, output: str) -> None:
        assert "ended" in run("history", "--since", "start", "--format", output)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("30m", 1800), ("2h", 7200), ("1.5 d", 129_600), ("1970-01-02T00:00+00:00", None)],
    )
    def test_moments(self, text: str, seconds: float | None) -> None:
        assert seen.moment_of(text, 1e9) == (1e9 - seconds if seconds else 86_400.0)

    def test_what_is_no_moment_is_refused(self) -> None:
        with pytest.raises(SpecError, match="yesterday"):
            seen.moment_of("yesterday")


def row(run_id: str, state: State, **facts: Any) -> RunRow:
    return RunRow(run_id=run_id, kind=Kind.FINETUNE, dataset="pos", model="beto", state=state, **facts)


def decision(**facts: Any) -> Decision:
    return Decision(**{"actions": (), "waiting": {}, "teachers": {}, "finished": False, **facts})


class TestHappenings:
    def test_a_sweep_that_is_done_is_told(self) -> None:
        [found] = happenings([row("a", State.COMPLETED)], decision(finished=True))
        assert (found.what, found.text) == ("finished", "finished: 1 completed")

    def test_a_sweep_that_stands_still_is_told_with_the_reason(self) -> None:
        waiting = {"a": "budget used up"}
        [found] = happenings([row("a", State.PENDING)], decision(stuck=True, waiting=waiting))
        assert found.what == "stalled"
        assert "budget used up" in found.text

    def test_failures_of_one_cause_are_one_happening(self) -> None:
        rows = [row(str(number), State.FAILED, signature="DataError line 7") for number in range(50)]
        [found] = happenings(rows, decision())
        assert found.text.startswith("50 runs of pos failed and are not tried again: DataError line 7")
        assert happenings(rows[:1], decision())[0].key == found.key

    def test_what_a_person_cancelled_needs_no_person(self) -> None:
        cancelled = row("a", State.CANCELLED, reason="cancelled by hand")
        held = row(
            "b", State.CANCELLED, reason="its job was cancelled in the cluster; run or retry goes on with it"
        )
        assert happenings([cancelled], decision()) == []
        assert len(happenings([held], decision())) == 1


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent, and answers as the server says."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.headers["Content-Type"], json.loads(body)))  # type: ignore[attr-defined]
        self.send_response(self.server.answers)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    made.received, made.answers = [], 200
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def table(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NotifyTable:
    monkeypatch.delenv(notices.ENVIRONMENT, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    file = tmp_path / "address"
    file.write_text(f"http://127.0.0.1:{server.server_address[1]}/hooks/secret-part\n")
    return NotifyTable(webhook_file=str(file))


DONE = Happening(what="finished", key="finished 1", text="finished: 1 completed")


def tell(folder: Path, table: NotifyTable, *found: Happening) -> list[str]:
    """What a turn does."""
    notices.note(Workdir(folder), "study", lambda: found, table)
    return notices.deliver(
        Workdir(folder), "study", table, lambda: ({"sweep": "study"}, ["study since it began"])
    )


class TestNotices:
    def test_happening_is_posted_once_however_often_turns_are_made(
        self, server: Any, table: NotifyTable, tmp_path: Path
    ) -> None:
        for _ in range(3):
            assert tell(tmp_path, table, DONE) == []
        [(kind, message)] = server.received
        assert kind == "application/json"
        assert message["text"] == "sgonz: study finished: 1 completed\n\nstudy since it began"
        assert [one["what"] for one in message["happenings"]] == ["finished"]
        assert message["history"] == {"sweep": "study"}

    def test_happening_that_comes_back_is_told_again(
        self, server: Any, table: NotifyTable, tmp_path: Path
    ) -> None:
        for found in ([DONE], [], [DONE]):
            tell(tmp_path, table, *found)
        ids = [message["happenings"][0]["id"] for _, message in server.received]
        assert len(set(ids)) == 2

    def test_refusal_is_tried_again_later_and_never_names_the_address(
        self, server: Any, table: NotifyTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.answers = 500
        assert tell(tmp_path, table, DONE) == ["webhook: it answered 500"]
        assert tell(tmp_path, table, DONE) == []
        assert len(server.received) == 1
        server.answers = 200
        later = time.time() + 3600
        monkeypatch.setattr(notices.time, "time", lambda: later)
        assert tell(tmp_path, table, DONE) == []
        assert len(server.received) == 2
        assert tell(tmp_path, table, DONE) == []
        assert len(server.received) == 2
        assert "secret-part" not in (tmp_path / "notices.json").read_text()

    @pytest.mark.parametrize("address", ["http://127.0.0.1:9/secret-part", "https://[broken/secret-part"])
    def test_webhook_that_is_not_there_is_a_problem_and_no_error(
        self, table: NotifyTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        monkeypatch.setenv(notices.ENVIRONMENT, address)
        [problem] = tell(tmp_path, table, DONE)
        assert problem.startswith("webhook: ")
        assert "secret-part" not in problem

    def test_a_mail_carries_the_same_text_through_sendmail(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program = tmp_path / "bin" / "sendmail"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\ncat >> '{tmp_path}/mailbox'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")
        monkeypatch.delenv(notices.ENVIRONMENT, raising=False)
        with idle_sweep(tmp_path, notify=NotifyTable(mail="me@example.org", on=("finished",))) as at:
            eventually(lambda: turn(at).decision.finished)
            turn(at)
            name = at.sweep.name
        mail = message_from_string((tmp_path / "mailbox").read_text())
        assert (mail["To"], mail["Subject"]) == ("me@example.org", f"sgonz: {name} finished: 4 completed")
        assert mail.get_payload().startswith(f"sgonz: {name} finished: 4 completed\n\n{name}")

    def test_what_one_way_took_is_not_sent_again_when_another_fails(
        self, server: Any, table: NotifyTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import msgspec

        both, posted = msgspec.structs.replace(table, mail="me"), []
        server.answers = 500

        def made() -> list[str]:
            notices.note(Workdir(tmp_path), "study", lambda: [DONE], both)
            return notices.deliver(
                Workdir(tmp_path), "study", both, lambda: ({}, ["history"]),
                lambda subject, text: posted.append((subject, text)),
            )  # fmt: skip

        assert made() == ["webhook: it answered 500"]
        server.answers = 200
        later = time.time() + 3600
        monkeypatch.setattr(notices.time, "time", lambda: later)
        assert made() == []
        assert posted == [
            ("sgonz: study finished: 1 completed", "sgonz: study finished: 1 completed\n\nhistory")
        ]
        assert len(server.received) == 2

    @pytest.mark.parametrize("address", ["-bad", "a b@c", "a@b,c@d", "a@b\nBcc: c@d"])
    def test_what_is_no_address_is_refused_with_the_profile(self, address: str, tmp_path: Path) -> None:
        file = tmp_path / "here.toml"
        file.write_text(f"scheduler = 'local'\n[notify]\nmail = {json.dumps(address)}\n")
        with pytest.raises(SpecError, match="mail"):
            load_profile(str(file))

    def test_only_what_was_asked_for_is_told(self, server: Any, table: NotifyTable, tmp_path: Path) -> None:
        import msgspec

        tell(tmp_path, msgspec.structs.replace(table, on=("stalled",)), DONE)
        assert server.received == []

    @pytest.mark.parametrize("address", ["", "file:///etc/passwd", "ftp://host/x"])
    def test_nothing_is_sent_to_what_is_no_address(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        monkeypatch.setenv(notices.ENVIRONMENT, address)
        assert tell(tmp_path, NotifyTable(), DONE) == []
        assert not (tmp_path / "notices.json").exists()

    def test_turns_of_a_sweep_tell_its_end_once(
        self, server: Any, table: NotifyTable, tmp_path: Path
    ) -> None:
        with idle_sweep(tmp_path, notify=table) as at:
            eventually(lambda: turn(at).decision.finished)
            turn(at)
            [(_, message)] = server.received
            assert [one["what"] for one in message["happenings"]] == ["finished"]
            assert "4 completed" in message["text"]
            assert "secret-part" not in at.workdir.journal.read_text()
