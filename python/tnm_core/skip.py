"""Why a layer or tensor was left alone: a code and its values, a sentence only where it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Skip", "SkipCode", "counted"]


@dataclass(frozen=True)
class Skip:
    """One reason to leave something alone; ``str()`` gives the sentence.

    Attributes
    ----------
    code : SkipCode
        What stood in the way.
    details : mapping of str to object
        The values that the sentence names, such as a size and m.

    Examples
    --------
    >>> from tnm_core.skip import SkipCode
    >>> skip = SkipCode.FEW_FEATURES(side="out_features", size=3, m=4)
    >>> str(skip), skip.details["size"]
    ('out_features 3 < m = 4', 3)
    """

    code: SkipCode
    details: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.code.value.format_map(self.details)


class SkipCode(Enum):
    """What can stand in the way, with its sentence; called with its values, one is a `Skip`."""

    # by name
    NOT_INCLUDED = "not matched by include="
    EXCLUDED = "matched by exclude="
    NO_PATTERN = "not named in pattern"
    DENSE_WITHIN_BUDGET = "stays dense within the budget"
    NO_WEIGHTS = "the checkpoint has no weights for it"

    # files beside weights that are not copied
    OTHER_WEIGHTS = "weights in another form, which would be out of date"
    HIDDEN_OR_CACHE = "hidden, a cache, or left by training"
    LINK_OUT = "a link to a folder, or out of the folder"
    NO_REGULAR_FILE = "no regular file"

    # by what calibration data show
    NEVER_CALLED = (
        "no row of the calibration data reaches it, or other code reads its weight without calling "
        "it: give data that use it, or sparsify_ it"
    )
    EXPERTS_UNREACHED = (
        "no row of the calibration data reaches the experts {experts}: masked by the magnitudes of "
        "their weights"
    )
    PRODUCTS_UNSEEN = (
        "masked by the magnitudes of its weights alone: no row reaches it, or the model's code "
        "multiplies by it in a way that is not watched"
    )
    OWN_PRODUCT = (
        "its own code multiplies by something else than its weight, adds something else than its "
        "bias, or does so in a way that is not watched"
    )
    UNPAIRED = (
        "pruned on what it gets in the dense model alone: the pruned model takes another way "
        "through its code (at {step}), so rows of the two cannot be paired"
    )
    NOT_TUNED = (
        "not tuned: the pruned model takes another way through its code than the dense one (at "
        "{step}), so their outputs cannot be compared"
    )

    # by what stands before a batch normalisation
    NORM_UNREACHED = "no batch reaches it"
    NO_RUNNING_STATISTICS = "keeps no running statistics: every batch is normalised by its own"
    NOT_AFTER_LAYER = "what it gets is not always the output of one convolution or Linear layer"
    OUTPUT_USED_ELSEWHERE = "what {layer} returns is also used elsewhere"
    OWN_NORM = "its type is {kind}, whose own code may do more than normalise"
    FOLD_BEFORE_PACKING = "{layer} has a packed weight already: fold before converting or packing"
    FOLD_PARAMETRIZED = "the weight of {layer} has another parametrisation; remove that first"
    FOLD_SHARED = "parameters of it or of {layer} are shared with another module"
    FOLD_TRANSPOSED_GROUPS = "{layer} is a transposed convolution in {groups} groups"
    FOLD_DIFFERS = (
        "{layer} returns something else than both did together: its code does more than multiply"
    )

    # by what a tensor is: `tnm_core.weights`, which include lifts
    EMBEDDING = "an embedding (include it to prune it)"
    POSITION_TABLE = "a table of positions (include it to prune it)"
    TOKEN = "a learned token (include it to prune it)"
    HEAD = "a head (include it to prune it)"
    ROUTER = "a router of experts (include it to prune it)"
    NORM = "the scale of a norm (include it to prune it)"
    BIAS = "a bias (include it to prune it)"
    STATE_SPACE = "a constant of a state space (include it to prune it)"
    ADAPTER = "an adapter, LoRA (include it to prune it)"
    QUANTIZATION = "a scale, zero point or index (include it to prune it)"
    LOOSE = "a parameter that is not called weight (include it to prune it)"

    # by what stands beside a tensor: `tnm_core.weights`, which nothing lifts
    QUANTIZED = "quantised ({scheme}): prune the checkpoint as it was before"
    PART_OF_QUANTIZED = "part of a quantised weight ({scheme})"

    # by kind of layer
    OTHER_TYPE = "{kind} is not among layers="
    ONLY_BY_NAME = "a parameter of {kind} that is not called weight (include its name to prune it)"
    NOT_CALLED_WEIGHT = "a parameter of {kind} that is not called weight"
    OWN_FORWARD = "its type is {kind}, whose own code may read the weight without its mask"
    NO_MATRIX_PRODUCT = "its type is {kind}, expected a Linear, a Conv1D or a pointwise convolution"
    NOT_POINTWISE = (
        "is a convolution of kernel {kernel}, groups {groups} and padding {padding}, expected "
        "kernels of one position, one group and no padding"
    )
    WHOLE_MODEL = (
        "the model is itself this layer, which nothing can stand in for: use from_linear of "
        "TransposableLinear or RowWiseLinear, or put it into a torch.nn.Sequential"
    )
    COMPILED = "torch.compile holds on to the layer as it is: compile it afterwards"
    HAS_HOOKS = "has hooks, which would be lost: remove them first"
    ENCODER_FAST_PATH = (
        "the fast path of TransformerEncoderLayer reads the weight without its mask: call "
        "torch.backends.mha.set_fastpath_enabled(False) first"
    )
    BACKEND_CANNOT = "{reason}"
    DENSE_IS_FASTER = "dense is faster: {reason}"

    # by state of the weight
    SPARSE_ALREADY = "is sparse already"
    SPARSE_ALREADY_AT = "is {pattern} sparse already"
    PARAMETRIZED = "its weight has another parametrisation; remove that first"
    PARAMETRIZED_LAYER = (
        "has parametrizations: remove them first, with leave_parametrized or remove_sparsity_"
    )
    NO_SHAPE_YET = "its weight has no shape yet; run the model once first"
    COMPUTED = "its weight is computed and no parameter"
    SHARED = "its weight is shared ({users})"
    SHARED_UNMASKED = "its weight is shared with another module, which would use it without a mask"
    OVERLAPS_ITSELF = "several entries of its weight may lie in one place in memory; clone it first"
    SHARDED = "its weight is sharded already; call sparsify_ before fully_shard"
    NO_DATA = "its weight is on the device meta and has no data; load it first"
    NOT_FLOATING = "its weight has dtype {dtype}, expected floating point"
    OTHER_DTYPE = "dtype {dtype} (float16, bfloat16, float32 and float64 are pruned)"

    # by shape
    FEW_AXES = "its weight has {axes} axes, expected at least 2"
    MANY_AXES = "its weight has {axes} axes and is not that of a convolution"
    UNKNOWN_ORDER = (
        "which axis of its weight the inputs are is not known, which a row-wise pattern needs"
    )
    FEW_FEATURES = "{side} {size} < m = {m}"
    FEW_CHANNELS = "{size} {side} channels < m = {m}"
    FEW_CHANNELS_PER_GROUP = "{size} {side} channels in each of {groups} groups < m = {m}"
    NO_WHOLE_TILE = "{side} is {size}, expected at least m = {m} for one {m} x {m} tile"
    SMALLER_THAN_A_TILE = "smaller than one {m} x {m} tile"
    FORM_OF_MATRICES = "{rank}-D, and the format holds matrices alone"
    FORM_DTYPE = "dtype {dtype}, and the format holds {expected}"
    FORM_SIDES = "{rows} x {columns}, and the format holds multiples of {unit} alone"
    FORM_NAME = "not called weight, and the format has no other names"
    THREE_AXES = "3-D (say with --three-d how to read it)"
    OTHER_RANK = "{rank}-D"

    def __call__(self, **details: object) -> Skip:
        """Give the reason its values."""
        return Skip(self, details)


def counted(skips: Iterable[Skip], none: str) -> str:
    """Count how often each sentence occurs, for messages; `none` if there is nothing to count."""
    counts = Counter(map(str, skips))
    told = "; ".join(f"{count} left alone because {why}" for why, count in counts.items())
    return told or none
