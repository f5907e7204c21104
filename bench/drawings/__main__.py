"""Draw the pictures of the explanation into the documents: `python -m bench.drawings`.

Needs the extra plot. Nothing is measured, so that a run gives the same pictures anywhere.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.drawings.approximation import draw_approximation
from bench.drawings.masks import draw_all_masks, draw_ties
from bench.drawings.network import draw_network
from bench.drawings.packing import draw_packing
from bench.drawings.prices import draw_prices

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES: dict[str, Callable[[], Figure]] = {
    "flow": draw_network,
    "prices": draw_prices,
    "two-approximation": draw_approximation,
    "all-masks": draw_all_masks,
    "ties": draw_ties,
    "packing": draw_packing,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw all pictures, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m bench.drawings", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", nargs="+", choices=list(PICTURES), default=list(PICTURES))
    given = parser.parse_args(arguments)
    given.output.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        path = given.output / f"explained-{name}.png"
        PICTURES[name]().savefig(path, bbox_inches="tight", pad_inches=0.1)
        print(path)


if __name__ == "__main__":
    main()
