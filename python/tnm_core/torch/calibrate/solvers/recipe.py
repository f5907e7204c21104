"""Recipes: which mask, which weights, on which inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from tnm_core.arguments import Method, as_choice, as_method

Search = Literal["one_shot", "sparsegpt", "admm"]
Criterion = Literal["magnitude", "square", "wanda", "wanda_square", "obs"]
Reconstruction = Literal["none", "absorb_mean", "adam", "least_squares"]
DistillLoss = Literal["auto", "divergence", "squared_error"]

CRITERIA: tuple[Criterion, ...] = get_args(Criterion)


@dataclass(frozen=True)
class Recipe:
    """How `prune_model_` treats each layer.

    Attributes
    ----------
    search : {"one_shot", "sparsegpt", "admm"}
        How the mask is found; one-shot: the best mask for the scores of `criterion`.
    criterion : {"magnitude", "square", "wanda", "wanda_square", "obs"}
        Scores of the one-shot search.
    method : {"optimal", "two_approximation", "greedy"}
        How every mask is solved, as in `tnm_core.transposable_mask`; row-wise masks are always
        optimal.
    reconstruction : {"none", "absorb_mean", "adam", "least_squares"}
        What becomes of the kept weights: nothing; each group's kept weights receive the mean of
        what was pruned; AdaPrune's Adam; least squares.
    sequential : bool
        Layers in order, on the inputs that the already pruned model gives, or each on its own, on
        the dense model's inputs.
    alpha : float in [0, 1]
        Sequential only: 1 aims at the dense model's outputs, 0 at what the dense weight makes of
        the same inputs.
    residual : bool
        Sequential only: also make up for the error on the residual stream that the output is
        added to.
    damping : float
        Pulls towards the dense weight, in units of the mean square of the inputs.
    bias : bool
        Correct the bias, so that mean outputs are as wanted.
    steps : int
        Of the ADMM search.
    batch_norm : bool
        Correct the running statistics of batch normalisation at the end by what pruning moved
        (`correct_batch_norm_`), if that brings the outputs closer to the dense model's.
    tune_epochs : int
        Passes of Adam over the data, with the masks fixed, after the layers of a block are pruned:
        the block's outputs in the pruned model come closer to those in the dense model. 0 for
        none. A model that is no chain of blocks, or one of bare layers, is tuned as one block, at
        the end.
    tune_rate : float
        Highest step of that Adam, relative to the root mean square of each tensor.
    tune_norms : bool
        Whether it also tunes scale and shift of normalisations.
    distill_epochs : int
        Passes of Adam at the end, with the masks fixed, over the batches to distill with (those to
        calibrate with, if there are no others): each batch is a step, in which the outputs of the
        whole model come closer to those of the dense one. 0 for none.
    distill_rate : float
        Highest step of that Adam, relative to the root mean square of each weight.
    distill_loss : {"auto", "divergence", "squared_error"}
        How far outputs are off: by the Kullback-Leibler divergence of the classes that they are
        logits of, in nats; or by squared error over the variance of the dense outputs. By default
        the first where the model returns something that has ``logits``, as those of transformers
        do, and the second elsewhere.
    """

    search: Search = "admm"
    criterion: Criterion = "wanda_square"
    method: Method = "optimal"
    reconstruction: Reconstruction = "least_squares"
    sequential: bool = True
    alpha: float = 0.8
    residual: bool = True
    damping: float = 0.1
    bias: bool = True
    steps: int = 30
    batch_norm: bool = True
    tune_epochs: int = 0
    tune_rate: float = 0.02
    tune_norms: bool = True
    distill_epochs: int = 0
    distill_rate: float = 0.0015
    distill_loss: DistillLoss = "auto"

    def __post_init__(self) -> None:
        as_choice("search", self.search, get_args(Search))
        as_choice("criterion", self.criterion, CRITERIA)
        as_choice("reconstruction", self.reconstruction, get_args(Reconstruction))
        as_choice("distill_loss", self.distill_loss, get_args(DistillLoss))
        as_method(self.method)
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is {self.alpha}, expected a number from 0 to 1")
        if not 0 <= self.damping < float("inf"):
            raise ValueError(f"damping is {self.damping}, expected a finite number from 0 on")
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}, expected at least 1")
        for name in ("tune", "distill"):
            epochs, rate = getattr(self, f"{name}_epochs"), getattr(self, f"{name}_rate")
            if epochs < 0:
                raise ValueError(f"{name}_epochs is {epochs}, expected 0 or more")
            if not 0 < rate < float("inf"):
                raise ValueError(f"{name}_rate is {rate}, expected a finite number above 0")

    @property
    def needs_data(self) -> bool:
        """Whether calibration data make a difference."""
        free = self.search == "one_shot" and self.criterion in ("magnitude", "square")
        return not free or self.bias or self.reconstruction in ("adam", "least_squares")


_ALONE = Recipe(search="one_shot", sequential=False)

_BARE = replace(_ALONE, reconstruction="none", bias=False, batch_norm=False)

RECIPES: dict[str, Recipe] = {
    "magnitude": replace(_BARE, criterion="magnitude"),
    "wanda": _BARE,
    "adaprune": replace(_ALONE, criterion="magnitude", reconstruction="adam", bias=False),
    "least_squares": _ALONE,
    "sequential": replace(_ALONE, sequential=True),
    "sparsegpt": Recipe(search="sparsegpt"),
    "best": Recipe(),
    "tuned": Recipe(tune_epochs=6),
    "distilled": Recipe(distill_epochs=1),
}


def recipe_of(recipe: str | Recipe) -> Recipe:
    """Return a recipe by its name, or itself."""
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str):
        raise TypeError(
            f"recipe is a {type(recipe).__name__}, expected a Recipe or one of "
            f"{', '.join(map(repr, RECIPES))}"
        )
    return RECIPES[as_choice("recipe", recipe, tuple(RECIPES))]
