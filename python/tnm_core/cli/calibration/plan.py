"""What the command line asks for, and which layer gets which pattern by that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from torch import nn

from tnm_core.cli.errors import CommandError
from tnm_core.cli.pruning import DEFAULT_EXCLUDE
from tnm_core.torch.calibrate.data import Pattern, as_pattern

DENSE = "dense"


@dataclass(frozen=True)
class Budget:
    """Share of the parameters that may be kept, and the patterns to choose from."""

    share: float
    patterns: tuple[Pattern, ...]


Wanted = Pattern | Mapping[str, str] | Budget


@dataclass
class Exclusion:
    """Layers to leave alone; remembers why each one was."""

    globs: tuple[str, ...]
    by_default: bool
    missing: frozenset[str] = frozenset()
    reasons: dict[str, str] = field(default_factory=dict)

    def __call__(self, name: str, module: nn.Module) -> bool:
        """Whether a layer is left alone."""
        reason = self._reason(name)
        if reason is not None:
            self.reasons[name] = reason
        return reason is not None

    def _reason(self, name: str) -> str | None:
        if any(fnmatchcase(name, glob) for glob in self.globs):
            return "matched by --exclude"
        if self.by_default and any(fnmatchcase(name.lower(), glob) for glob in DEFAULT_EXCLUDE):
            return "embedding, head or norm by its name (--include it to prune it)"
        return "the checkpoint has no weights for it" if name in self.missing else None


@dataclass(frozen=True)
class Wish:
    """How a model is to be pruned: by one pattern, by patterns of layers, or within a budget."""

    pattern: Wanted
    recipe: str
    permute: bool
    include: tuple[str, ...]
    exclude: Exclusion

    @classmethod
    def of(
        cls,
        pattern: Wanted,
        recipe: str,
        permute: bool,
        head_size: int | None,
        include: tuple[str, ...],
        exclude: tuple[str, ...],
    ) -> Wish:
        """Put options together that go together; `CommandError` for those that do not."""
        if head_size is not None and not permute:
            raise CommandError("--head-size is for --permute; expected both or neither")
        if permute and not (isinstance(pattern, Pattern) and pattern.transposable):
            raise CommandError("--permute needs one transposable pattern; expected --pattern n:m")
        by_default = not include and not isinstance(pattern, Mapping)
        return cls(pattern, recipe, permute, include, Exclusion(exclude, by_default))


def wanted_patterns(pattern: str | None, budget: float | None, patterns: str | None) -> Wanted:
    """Read --pattern, or --budget with --patterns."""
    if pattern is not None and budget is None and patterns is None:
        if pattern.endswith(".json"):
            return read_patterns(Path(pattern))
        return parse(pattern, "--pattern")
    if pattern is not None or budget is None or patterns is None:
        raise CommandError("expected either --pattern, or --budget and --patterns")
    if not 0 < budget <= 1:
        raise CommandError(f"--budget is {budget:g}; expected a share of the parameters in (0, 1]")
    return Budget(budget, tuple(parse(one, "one of --patterns") for one in patterns.split(",")))


def parse(text: str, source: str) -> Pattern:
    """Read ``n:m`` or ``row n:m``; `source` says where it came from."""
    try:
        return as_pattern(text)
    except ValueError:
        raise CommandError(
            f"{source} is {text!r}; expected n:m with 1 <= n <= m <= 128 (transposable), "
            "'row n:m' (row-wise), or a .json file of those by layer"
        ) from None


def read_patterns(path: Path) -> dict[str, str]:
    """Read patterns by name of a layer from a JSON file; names may be globs."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON: {error}") from None
    if not isinstance(given, dict) or not given:
        raise CommandError(f'{path} holds no patterns; expected {{"layer or glob": "n:m", ...}}')
    for name, pattern in given.items():
        source = f"the pattern of {name!r} in {path}"
        if not isinstance(pattern, str):
            raise CommandError(f"{source} is {pattern!r}; expected a text such as '2:4'")
        if pattern != DENSE:
            parse(pattern, source)
    return given


def patterns_of_layers(model: nn.Module, patterns: Mapping[str, str]) -> dict[str, str]:
    """Give each layer the pattern of the first glob that matches it; dense ones are left out."""
    names = [n for n, one in model.named_modules() if isinstance(one, (nn.Linear, nn.Conv2d))]
    for glob in patterns:
        if not any(fnmatchcase(name, glob) for name in names):
            raise CommandError(
                f"{glob!r} in the file of patterns matches no layer; expected names such as "
                f"{names[0]!r}" if names else "the model has no Linear or Conv2d layer"
            )  # fmt: skip
    first = {
        name: next((p for glob, p in patterns.items() if fnmatchcase(name, glob)), DENSE)
        for name in names
    }
    return {name: pattern for name, pattern in first.items() if pattern != DENSE}
