"""The queries of docs/operate.md against what the app logs: docs/logging.md, which other tests hold to the code."""

import re
from pathlib import Path

import pytest

from shared import errors

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
LOGGING = (ROOT / "docs" / "logging.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```kql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

OPERATORS = ("where", "extend", "project", "summarize", "order by", "render")
LEVELS = {"debug", "info", "warning", "error", "critical"}
FUNCTIONS = {
    *("ago", "avg", "bin", "coalesce", "count", "dcount", "max", "parse_json", "percentile", "strlen"),
    *("sum", "sumif", "take_any", "tobool", "todouble", "toint", "tolong", "tostring"),
}
COLUMNS = {"timestamp", "message", "itemCount", "cloud_RoleInstance"}
"""Of the table `traces` of Application Insights."""
WORDS = {"and", "or", "by", "in", "asc", "desc", "timechart"}


def rows(heading: str) -> dict[str, str]:
    section = LOGGING.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return {name: line for line in section.splitlines() for name in re.findall(r"^\| `(\w+)` \|", line)}


def stages(query: str) -> list[str]:
    lines = query.splitlines()
    assert lines[0] == "traces"
    assert all(line.startswith("| ") for line in lines[1:]), query
    return [line.removeprefix("| ") for line in lines[1:]]


by_query = pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))


def test_there_are_queries_for_slow_failing_and_expensive() -> None:
    for heading in ("It is slow", "It fails", "Jobs wait or fail", "It is expensive"):
        assert "```kql" in PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


@by_query
def test_a_query_reads_only_fields_that_a_line_has(query: str) -> None:
    fields = rows("Fields")
    assert set(re.findall(r"\bline\.(\w+)", query)) <= set(fields)
    for name in re.findall(r"\bline\.usage\.(\w+)", query):
        assert f"`{name}`" in fields["usage"], name


@by_query
def test_a_query_asks_only_for_events_levels_and_codes_that_there_are(query: str) -> None:
    events = rows("Events")
    for subject, texts in re.findall(r"(\w+)\)? (?:==|in) \(?((?:\"[^\"]*\"(?:, )?)+)", query):
        known = {"event": set(events), "level": LEVELS, "request_id": {"the-id"}}[subject]
        assert set(re.findall(r'"([^"]*)"', texts)) <= known
    assert query.count('"') == sum(
        part.count('"') for part in re.findall(r"(?:==|in) \(?(?:\"[^\"]*\"(?:, )?)+", query)
    )


@by_query
def test_a_query_is_made_of_known_operators_functions_and_names(query: str) -> None:
    """There is no Kusto here: at least what is not defined before, and what is not spelt right, is found."""
    defined = set(COLUMNS)
    for stage in stages(query):
        assert stage.startswith(OPERATORS), stage
        assert stage.count("(") == stage.count(")"), stage
        assert stage.count("[") == stage.count("]"), stage
        called = set(re.findall(r"(\w+)\(", stage)) - {"in"}
        assert called <= FUNCTIONS, stage
        plain = re.sub(r'"[^"]*"|\bline(?:\.\w+)+|\b\d+[mhd]?\b', " ", stage)
        made = set(re.findall(r"\b(\w+) = ", plain))
        used = set(re.findall(r"\b[A-Za-z_]\w*\b", plain)) - made - called - WORDS
        used -= set(" ".join(OPERATORS).split())
        assert used <= defined, f"{stage}: {used - defined}"
        grouped = stage.startswith(("summarize", "project"))
        kept = set(re.findall(r"\b[A-Za-z_]\w*\b", plain)) & defined if grouped else defined
        defined = made | kept


@by_query
def test_a_query_says_how_far_back_it_looks(query: str) -> None:
    assert stages(query)[0].startswith("where timestamp > ago(")


def test_sums_count_what_sampling_left_out() -> None:
    for query in QUERIES:
        for summed in re.findall(r"\bsum\(([^()]*(?:\([^()]*\)[^()]*)*)\)", query):
            assert "itemCount" in summed or summed == "strlen(message)", query


def test_every_code_that_the_page_explains_exists() -> None:
    codes = {
        code for name in dir(errors) if isinstance(code := getattr(getattr(errors, name), "code", None), str)
    }
    section = PAGE.split("| Code | What to do |", 1)[1].split("\n\n", 1)[0]
    explained = {
        code for line in section.splitlines()[2:] for code in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert len(explained) >= 7
    assert explained <= codes


def test_every_setting_of_the_deployment_that_the_page_names_exists() -> None:
    parameters = (ROOT / "infra-bicep" / "main.bicepparam").read_text(encoding="utf-8")
    named = set(re.findall(r"\bDEPLOY_\w+", PAGE))
    assert named
    assert named <= set(re.findall(r"'(DEPLOY_\w+)'", parameters))
