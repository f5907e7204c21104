"""Which row is which: what the dense model decides about its rows is repeated in the pruned one.

A mixture of experts sends tokens where its scores say, and a sorted batch lies as its keys say.
Pruning moves scores and keys a little, and then the i-th row that a layer gets in the pruned model
is another token than the i-th row that it gets in the dense one. While the dense model runs, its
decisions are therefore written down: integers that come of real numbers, such as those of a sort,
and whatever picks rows by an index. The pruned model is then given the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Operations that return entries of their input along an axis, and where those stood.
_ORDERING = frozenset({"sort", "topk"})
# The same, but often called for the entries alone; then they decide nothing.
_REDUCING = frozenset({"max", "min", "median", "nanmedian", "kthvalue", "mode", "cummax", "cummin"})
# Operations that move rows by tensors of integers or bools.
_BY_INDEX = frozenset({
    "index", "_unsafe_index", "index_put", "index_put_", "_unsafe_index_put", "_index_put_impl_",
    "index_select", "index_add", "index_add_", "index_copy", "index_copy_", "gather", "take",
    "scatter", "scatter_", "scatter_add", "scatter_add_", "scatter_reduce", "scatter_reduce_",
    "masked_select", "masked_scatter", "masked_scatter_", "embedding",
})  # fmt: skip
# Operations that move rows by numbers of Python.
_BY_NUMBER = frozenset({
    "select", "slice", "narrow", "split", "split_with_sizes", "unbind", "cat", "stack", "flip",
    "roll",
})  # fmt: skip


class Unpaired(Exception):  # noqa: N818 - a finding, after which there is another way
    """The pruned model takes another way through its code than the dense one did."""


@dataclass
class _Decision:
    """One step that says which rows go where.

    `tensors` are the indices that an operation is given, or the integers that it returns; `numbers`
    are those of Python. Integers that nothing looked at have not been `heeded`.
    """

    name: str
    tensors: tuple[torch.Tensor, ...]
    numbers: tuple[int, ...] = ()
    heeded: bool = True


@dataclass
class Decisions:
    """What the dense model decided in one run, in order, for the run of the pruned model."""

    _made: list[_Decision] = field(default_factory=list)
    _with_gradients: bool = False

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Write down within what a model decides."""
        self._made = []
        self._with_gradients = torch.is_grad_enabled()
        with _Recorder(self._made):
            yield

    @contextmanager
    def repeated(self) -> Iterator[None]:
        """Decide the same within; raises `Unpaired` where a model has other things to decide.

        With gradients, models may compute in other ways than without (fused attention); then the
        decisions are repeated as far as they are the same.
        """
        strict = self._with_gradients == torch.is_grad_enabled()
        with _Repeater(self._made, strict=strict):
            yield


class _Watcher(TorchDispatchMode):
    """Sees each operation of a model, and may change what it is given and what it returns."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.rpartition("::")[2]
        if name in _BY_INDEX or name in _BY_NUMBER:
            args, kwargs = self.given(name, args, kwargs)
        out = func(*args, **kwargs)
        if isinstance(out, (bool, int)):  # a condition or a count that Python code asks for
            return self.number(name, out)
        whole = _integers(func, (args, kwargs), out)
        return self.returned(func, name, (args, kwargs), out, whole) if whole else out

    def given(self, name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
        raise NotImplementedError

    def number(self, name: str, out: int) -> int:
        raise NotImplementedError

    def returned(
        self, func: Any, name: str, given: Any, out: Any, whole: Mapping[int, torch.Tensor]
    ) -> Any:
        raise NotImplementedError


class _Recorder(_Watcher):
    def __init__(self, made: list[_Decision]) -> None:
        super().__init__()
        self._made = made
        self._unheeded: dict[int, tuple[torch.Tensor, _Decision]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if self._unheeded:
            for one in _tensors((args, kwargs)):
                _, made = self._unheeded.pop(id(one), (one, None))
                if made is not None:
                    made.heeded = True
        return super().__torch_dispatch__(func, types, args, kwargs)

    def given(self, name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
        indices = tuple(one.clone() for one in _indices(name, args, kwargs))
        self._made.append(_Decision(name, indices, _numbers((args, kwargs))))
        return args, kwargs

    def number(self, name: str, out: int) -> int:
        self._made.append(_Decision(name, (), (out,)))
        return out

    def returned(
        self, func: Any, name: str, given: Any, out: Any, whole: Mapping[int, torch.Tensor]
    ) -> Any:
        made = _Decision(name, tuple(one.clone() for one in whole.values()))
        self._made.append(made)
        if name in _REDUCING:
            made.heeded = False
            self._unheeded |= {id(one): (one, made) for one in whole.values()}
        return out


class _Repeater(_Watcher):
    def __init__(self, made: Sequence[_Decision], *, strict: bool) -> None:
        super().__init__()
        self._left: Iterator[_Decision] | None = iter(made)
        self._strict = strict

    def _next(self, name: str, count: int, numbers: tuple[int, ...] | None) -> _Decision | None:
        """Return the decision that was made at this step; None if there is none to repeat."""
        if self._left is None:
            return None
        made = next(self._left, None)
        alike = made is not None and made.name == name and len(made.tensors) == count
        if made is not None and alike and numbers in (None, made.numbers):
            return made
        self._lost(name)
        return None

    def _lost(self, name: str) -> None:
        """Go on without repeating anything, if that is allowed."""
        if self._strict:
            raise Unpaired(name)
        self._left = None

    def given(self, name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
        indices = list(_indices(name, args, kwargs))
        made = self._next(name, len(indices), _numbers((args, kwargs)))
        if made is None or _same(indices, made.tensors):
            return args, kwargs
        # Clones, since an operation may write into another argument that shares their memory.
        others = {id(one): other.clone() for one, other in zip(indices, made.tensors, strict=True)}
        return _exchanged(args, others), _exchanged(kwargs, others)

    def number(self, name: str, out: int) -> int:
        made = self._next(name, 0, None)
        return out if made is None else type(out)(made.numbers[0])

    def returned(
        self, func: Any, name: str, given: Any, out: Any, whole: Mapping[int, torch.Tensor]
    ) -> Any:
        made = self._next(name, len(whole), None)
        if made is None or not made.heeded or _same(list(whole.values()), made.tensors):
            return out
        outputs = list(out) if isinstance(out, (tuple, list)) else [out]
        repeated = dict(zip(whole, made.tensors, strict=True))
        real = [one for one in outputs if isinstance(one, torch.Tensor) and not _is_whole(one)]
        if real and name not in _ORDERING | _REDUCING:
            self._lost(name)
            return out
        for place, one in repeated.items():
            outputs[place] = self._put(name, outputs[place], one, given)
        if real:
            outputs[0] = _picked(func, given, repeated[1])
        return tuple(outputs) if isinstance(out, (tuple, list)) else outputs[0]

    def _put(self, name: str, out: torch.Tensor, one: torch.Tensor, given: Any) -> torch.Tensor:
        """Return the integers to repeat, in the tensor that an operation has written into."""
        if not any(out is other for other in _tensors(given)):
            return one.clone()
        if out.shape != one.shape:
            self._lost(name)
            return out
        return out.copy_(one)


def _picked(func: Any, given: tuple[Any, Any], places: torch.Tensor) -> torch.Tensor:
    """Return the entries of an input at some places along the axis of an operation."""
    args, kwargs = given
    source: torch.Tensor = args[0]
    names = [one.name for one in func._schema.arguments]
    at = names.index("dim")
    axis: int = args[at] if at < len(args) else kwargs.get("dim", -1)
    if places.ndim == source.ndim:
        return source.gather(axis, places)
    return source.gather(axis, places.unsqueeze(axis)).squeeze(axis)


def _integers(func: Any, given: Any, out: Any) -> dict[int, torch.Tensor]:
    """Return the outputs that are integers, by place, if they come of something else."""
    outputs = out if isinstance(out, (tuple, list)) else (out,)
    whole = {place: one for place, one in enumerate(outputs) if _is_whole(one)}
    if not whole or func is torch.ops.aten.view.dtype:
        return {}
    return whole if any(not _is_whole(one) for one in _tensors(given)) else {}


def _indices(name: str, args: Any, kwargs: Any) -> Iterator[torch.Tensor]:
    """Yield what picks rows: not the first argument, which they are picked from."""
    if name in _BY_INDEX:
        for one in _tensors((args[1:], kwargs)):
            if _is_whole(one) or one.dtype == torch.bool:
                yield one


def _is_whole(one: Any) -> bool:
    return isinstance(one, torch.Tensor) and not (
        one.is_floating_point() or one.is_complex() or one.dtype == torch.bool
    )


def _tensors(given: Any) -> Iterator[torch.Tensor]:
    return (one for one in _leaves(given) if isinstance(one, torch.Tensor))


def _numbers(given: Any) -> tuple[int, ...]:
    return tuple(one for one in _leaves(given) if isinstance(one, int))


def _leaves(given: Any) -> Iterator[Any]:
    if isinstance(given, (tuple, list)):
        for one in given:
            yield from _leaves(one)
    elif isinstance(given, dict):
        yield from _leaves(list(given.values()))
    else:
        yield given


def _exchanged(given: Any, others: Mapping[int, torch.Tensor]) -> Any:
    if isinstance(given, (tuple, list)):
        return type(given)(_exchanged(one, others) for one in given)
    if isinstance(given, dict):
        return {key: _exchanged(one, others) for key, one in given.items()}
    return others.get(id(given), given)


def _same(some: Sequence[torch.Tensor], others: Iterable[torch.Tensor]) -> bool:
    pairs = zip(some, others, strict=True)
    return all(one.shape == other.shape and torch.equal(one, other) for one, other in pairs)
