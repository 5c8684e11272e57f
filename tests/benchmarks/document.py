"""Write the figures of build/bench.json into docs/performance.md, as tables between comments that name them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Tree = Mapping[str, Any]


def write(bench: Tree, path: Path) -> None:
    """Write the tables of `bench` into the document at `path`. Raise ValueError if figures or markers are missing."""
    if missing := {"start_s", "efficiency", "peers"} - bench.get("spread", {}).keys():
        raise ValueError(f"figures are missing: {', '.join(sorted(missing))}; measure them first")
    text = path.read_text()
    for name, table in {
        "machine": [_machine(bench)],
        "figures": _figures(bench["spread"]),
        "efficiency": _efficiency(bench["spread"]),
        "peers": _peers(bench),
    }.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, opening, rest = text.partition(begin)
        _, closing, after = rest.partition(end)
        if not opening or not closing:
            raise ValueError(f"{path} has no place for {name}: {begin.strip()} … {end}")
        text = before + begin + "\n".join(table) + "\n" + end + after
    path.write_text(text)


def _machine(bench: Tree) -> str:
    machine = bench["machine"]
    days = sorted({entry["at"][:10] for entry in bench["measured"].values()})
    quick = "" if not any(entry["quick"] for entry in bench["measured"].values()) else ", short runs among them"
    return (
        f"{machine['cores']} cores ({machine['cpu']}), {machine['system']}, Python {machine['python']}; "
        f"{' and '.join(days)}{quick}."
    )


def _figures(spreads: Tree) -> Iterator[str]:
    leaves = [
        leaf for name, tree in spreads.items() if not name.startswith(("efficiency", "peers")) for leaf in _leaves(tree)
    ]
    runs = max((leaf["runs"] for leaf in leaves), default=0)
    yield from _head("figure", f"median of {runs} runs (lowest to highest)", "goal")
    for leaf in leaves:
        unit = f" {leaf['unit']}".rstrip()
        met = {True: ", met", False: ", **missed**", None: ""}[leaf.get("met")]
        ends = f"{leaf['low']:g} to {leaf['high']:g}" if leaf["runs"] > 1 else "one run"
        yield _line(leaf["what"], f"{leaf['median']:g}{unit} ({ends})", f"{leaf.get('goal', '')}{met}")


def _efficiency(spreads: Tree) -> Iterator[str]:
    services = list(next(iter(spreads["efficiency"].values())))
    yield from _head("slots, service times", *(f"{service} s" for service in services))
    for name, tree in spreads.items():
        if name.startswith("efficiency"):
            kind = name.removeprefix("efficiency").strip("_").replace("_", " ") or "constant"
            for slots, cells in tree.items():
                yield _line(f"{slots}, {kind}", *(_efficiency_cell(cells.get(service)) for service in services))


def _efficiency_cell(leaf: Tree | None) -> str:
    if leaf is None:
        return ""
    missed = ", **missed**" if leaf.get("met") is False else ""
    return f"{leaf['median']:.3f} ({leaf['low']:.3f} to {leaf['high']:.3f}{missed})"


def _peers(bench: Tree) -> Iterator[str]:
    yield from _head("consumer", "messages/s", "CPU of one, ms", "barrier, s", "stranded", "lost")
    for name, seen in bench["peers"].items():
        spread = bench["spread"]["peers"][name]
        ends = [f"{seen[key]:g} ({spread[key]['low']:g} to {spread[key]['high']:g})" for key in ("per_s", "cpu_ms")]
        yield _line(name, *ends, f"{seen['barrier_s']:g}", seen["stranded"], seen["lost"])


def _leaves(tree: Tree) -> Iterator[Tree]:
    if "what" in tree:
        yield tree
        return
    for branch in tree.values():
        if isinstance(branch, Mapping):
            yield from _leaves(branch)


def _head(*names: str) -> Sequence[str]:
    return [_line(*names), _line(*("---" if at == 0 else "---:" for at in range(len(names))))]


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, _texts(cells)))} |"


def _texts(cells: Iterable[object]) -> Iterator[str]:
    return (str(cell).replace("|", "\\|") for cell in cells)
