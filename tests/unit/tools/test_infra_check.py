"""What `make infra-check` takes for a failure, and what for a skip."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import infra_check
from tools.infra_check import Failed, Skipped, judge, main, parse


def report(**changes: Any) -> dict[str, Any]:
    summary = {"passed": 3, "failed": 0, "skipped": 0, "parsing_errors": 0, "resource_count": 5}
    results: dict[str, Any] = {"failed_checks": [], "skipped_checks": [], "parsing_errors": []}
    return {"summary": summary | changes.pop("summary", {}), "results": results | changes}


def check(reason: str | None = None) -> dict[str, Any]:
    return {
        "check_id": "CKV_AZURE_1",
        "check_name": "A thing is safe",
        "file_path": "/modules/thing.bicep",
        "resource": "Microsoft.Example/things.thing",
        "check_result": {"result": "SKIPPED", "suppress_comment": reason},
    }


def test_a_clean_report_passes() -> None:
    assert judge(report(), "", 5) == "3 passed, 0 skipped, 5 resources"


@pytest.mark.parametrize(
    "bad",
    [
        report(failed_checks=[check()]),
        report(parsing_errors=["/modules/thing.bicep"]),
        report(summary={"parsing_errors": 1}),
        report(summary={"resource_count": 4}),
        report(skipped_checks=[check("")]),
        report(skipped_checks=[check(None)]),
        # What checkov says where it found no resource at all.
        {"passed": 0, "failed": 0, "skipped": 0, "parsing_errors": 0, "resource_count": 0},
    ],
)
def test_a_weak_setting_an_unread_file_and_a_skip_without_a_reason_fail(bad: Any) -> None:
    with pytest.raises(Failed):
        judge(bad, "", 5)


def test_a_policy_that_broke_off_fails() -> None:
    with pytest.raises(Failed, match="Failed to run check"):
        judge(report(), "2026-01-01 [MainThread ] [ERROR]  Failed to run check CKV_AZURE_189", 5)


def test_each_skipped_policy_is_listed_with_its_reason() -> None:
    told = judge(report(skipped_checks=[check(" it is public")]), "", 5)
    assert "CKV_AZURE_1 modules/thing.bicep Microsoft.Example/things.thing: it is public" in told


def test_a_file_that_cannot_be_parsed_fails_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "main.bicep").write_text("param a string\nvar x = [\n", encoding="utf-8")
    with pytest.raises(Failed, match=r"main\.bicep:2"):
        parse(tmp_path)


def passing() -> str:
    return "well"


def failing() -> str:
    raise Failed("one thing\nanother")


def skipping() -> str:
    raise Skipped("there is no tool")


def test_one_failure_fails_all_and_the_rest_is_still_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main((failing, passing)) == 1
    captured = capsys.readouterr()
    assert "another" in captured.err
    assert "passing: well" in captured.out


@pytest.mark.parametrize(("required", "status"), [("", 0), ("1", 1)])
def test_a_skip_is_said_and_fails_only_where_the_tools_are_required(
    required: str, status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFRA_CHECK_REQUIRED", required)
    assert main((skipping,)) == status
    assert capsys.readouterr().out == "SKIPPED: infra-check: skipping: there is no tool\n"


def compiler(directory: Path, text: str, status: int = 0) -> None:
    program = directory / "bicep"
    program.write_text(f"#!/bin/sh\n[ -n \"$AZURE_ENV_NAME\" ] || exit 9\necho '{text}' >&2\nexit {status}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("/x/main.bicep(3,7) : Warning no-unused-params: Parameter", 0),
        ("/x/main.bicep(3,7) : Error BCP018: Expected", 1),
        ("it broke", 1),
    ],
)
def test_a_warning_of_the_compiler_is_a_failure(
    text: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler(tmp_path, text, status)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin")
    with pytest.raises(Failed):
        infra_check.compile()


def test_a_compiler_that_has_nothing_to_say_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler(tmp_path, "WARNING: A new release is available")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin")
    assert infra_check.compile() == "built and linted without a warning"


def test_without_a_compiler_the_check_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Skipped, match="bicep"):
        infra_check.compile()


def test_both_gates_check_the_templates_and_where_a_compiler_is_none_may_be_missing() -> None:
    assert "make infra-check\n" in (infra_check.ROOT / ".ci" / "run").read_text(encoding="utf-8")
    ci = yaml.safe_load((infra_check.ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    [step] = [step for step in ci["jobs"]["infra"]["steps"] if step.get("run") == "make infra-check"]
    assert step["env"] == {"INFRA_CHECK_REQUIRED": "1"}
