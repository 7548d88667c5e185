"""The documentation says what the code does: variables, options, codes and links are compared with their source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from documents.ingestion.detect import EXTENSIONS, SUPPORTED
from documents.retrieval import EVIDENCE_THRESHOLD

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
APPS = (
    "knowrithm",
    "tenants",
    "agents",
    "documents",
    "integrations",
    "leads",
    "conversations",
    "analytics",
)

READERS = {"text", "web_address", "integer", "boolean", "items", "secret"}  # of knowrithm.env
OF_THE_SYSTEM = {"PATH"}
TABLE_ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]*)` \| (.*?) \|", re.MULTILINE)


def syntax_trees() -> Iterator[ast.Module]:
    """The product's own modules, without tests and migrations."""
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if not {"tests", "migrations"} & set(path.relative_to(ROOT).parts):
                yield ast.parse(path.read_text())


def variable_read_by(node: ast.AST) -> str | None:
    """The name in `env.text("NAME")`, `text("NAME")`, `env.get("NAME")`, `environ.get("NAME")` or `environ["NAME"]`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name("env"), attr=reader), args=[ast.Constant(str(name)), *_]):
            return name if reader in READERS | {"get"} else None
        case ast.Call(func=ast.Name(reader), args=[ast.Constant(str(name)), *_]):
            return name if reader in READERS and name.isupper() else None
        case ast.Call(
            func=ast.Attribute(value=ast.Attribute(attr="environ"), attr="get"), args=[ast.Constant(str(name)), *_]
        ):
            return name
        case ast.Subscript(value=ast.Attribute(attr="environ"), slice=ast.Constant(str(name)), ctx=ast.Load()):
            return name
    return None


def default_of(node: ast.AST) -> str | None:
    """The default beside the name as the documentation writes it, where it is a literal."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in READERS:
        return None
    values = [*node.args[1:], *(keyword.value for keyword in node.keywords if keyword.arg == "default")]
    match values:
        case [ast.Constant(bool(value))]:
            return str(value).lower()
        case [ast.Constant(int(value) | str(value))]:
            return str(value)
        case []:
            return "false" if node.func.attr == "boolean" else None
    return None


def documented_variables() -> dict[str, str]:
    return dict(TABLE_ROW.findall((DOCS / "configuration.md").read_text()))


def test_every_variable_that_is_read_is_documented_and_no_other() -> None:
    read = {name for tree in syntax_trees() for node in ast.walk(tree) if (name := variable_read_by(node))}
    assert set(documented_variables()) == read - OF_THE_SYSTEM


def test_documented_defaults_are_those_of_the_code() -> None:
    documented = documented_variables()
    defaults = {
        name: default
        for tree in syntax_trees()
        for node in ast.walk(tree)
        if (name := variable_read_by(node)) and (default := default_of(node)) is not None
    }
    assert len(defaults) > 20
    assert {name: documented[name].strip("`") for name in defaults} == defaults


def test_readme_names_only_documented_variables() -> None:
    table = (ROOT / "README.md").read_text().partition("## Configuration")[2].partition("## In production")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert len(named) > 5
    assert named - documented_variables().keys() == set()


def test_every_option_of_the_widget_is_documented_and_no_other() -> None:
    source = (ROOT / "agents/static/agents/widget.js").read_text()
    options = {
        re.sub("[A-Z]", lambda found: f"-{found[0].lower()}", name) for name in re.findall(r"\btag\.(\w+)", source)
    }
    documented = re.findall(r"^\| `data-([\w-]+)` \|", (DOCS / "widget.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(options)


def test_every_error_code_is_documented() -> None:
    assigned = (
        value
        for tree in syntax_trees()
        for node in ast.walk(tree)
        for value in ([node.value] if isinstance(node, ast.Assign | ast.keyword) and _names_a_code(node) else [])
    )
    codes = {str(value.value) for value in assigned if isinstance(value, ast.Constant) and str(value.value).isupper()}
    text = "".join((DOCS / name).read_text() for name in ("api.md", "documents.md", "answers.md"))
    assert len(codes) > 30
    assert {code for code in codes if f"`{code}`" not in text} == set()


def _names_a_code(node: ast.Assign | ast.keyword) -> bool:
    if isinstance(node, ast.keyword):
        return node.arg == "code"
    return any(isinstance(target, ast.Name) and target.id == "code" for target in node.targets)


def test_documents_page_names_every_file_type() -> None:
    text = (DOCS / "documents.md").read_text()
    assert f"The file types that you can upload are {SUPPORTED}." in text
    assert {extension for extension in EXTENSIONS if f"`.{extension}`" not in text} == set()


def test_answers_page_gives_the_threshold_in_use() -> None:
    assert f"the threshold of {EVIDENCE_THRESHOLD}," in (DOCS / "answers.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_every_decision_is_listed_and_has_its_three_parts() -> None:
    decisions = sorted(path for path in (DOCS / "adr").glob("*.md") if path.name != "README.md")
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (DOCS / "adr" / "README.md").read_text())
    assert listed == [path.name for path in decisions]
    for path in decisions:
        assert re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_every_test_that_proves_a_scenario_exists() -> None:
    text = (DOCS / "compatibility.md").read_text()
    assert [int(number) for number in re.findall(r"^\| (\d+) ", text, re.MULTILINE)] == list(range(1, 48))
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    flows = ROOT / "knowrithm/tests/flows"
    assert [(file, name) for file, name in named if f"def {name}(" not in (flows / file).read_text()] == []
