"""The benchmark runner finds every benchmark and writes a table that reads as one."""

import importlib
import pkgutil

import tests.bench
from tests.bench.__main__ import benchmarks, main
from tests.bench.report import Report

INFRASTRUCTURE = {"__main__", "report"}


def test_every_module_here_is_a_benchmark_that_can_be_named() -> None:
    modules = {
        each.name
        for each in pkgutil.iter_modules(tests.bench.__path__)
        if each.name not in INFRASTRUCTURE and not each.name.startswith("test_")
    }
    found = benchmarks()
    named = {name for name in modules if hasattr(importlib.import_module(f"tests.bench.{name}"), "run")}
    assert {module.__name__.rpartition(".")[2] for module in found.values()} == named
    assert "imports" in found


def test_the_table_has_a_line_for_each_figure_and_keeps_its_shape() -> None:
    report = Report()
    report.bench = "demo"
    report("open | close", 0.01234, "bare", "10 ms", 1.234, "<= 1.5x")
    report("rate", 40_000.0, "", "", None, "")
    lines = report.markdown("now").splitlines()
    assert lines[0] == "## now"
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert "1.23x" in lines[-2]
    assert "40,000" in lines[-1]


def test_an_unknown_benchmark_is_said() -> None:
    assert main(["nonsense"]) == 2
