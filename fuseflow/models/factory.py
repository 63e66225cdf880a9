# SPDX-License-Identifier: MIT
"""Models from a user's own code: ``package.module:factory``.

A factory is any callable that returns ``(module, args)``, where `args` is the tuple of example
inputs, or a `ModelCase` where there is more to say. Its parameters are its settings::

    def pruned(width: int = 64, keep: float = 0.2):
        module = MyNet(width, keep)
        return module, (torch.randn(8, width),)

Text is converted by the annotation (int, float, bool, else str). torch's random numbers start from
the same seed in every call, so that a factory which sets none gives the same model every time.
Modules are looked up on `sys.path`, to which this module adds nothing.
"""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from fuseflow.errors import FuseflowError, Location, ModelError, UsageError
from fuseflow.models.case import ModelCase, freeze, input_names_of, seeded_torch
from fuseflow.models.settings import Parameter, nearest, parameter_type, read_values

__all__ = ["as_case", "build", "parameters"]


def build(reference: str, settings: Mapping[str, str]) -> ModelCase:
    """Call the factory that `reference` names with `settings` as keyword arguments.

    Raises UsageError where there is no such factory or a setting is unknown, missing or does not
    fit; ModelError where the factory fails or returns something else than it should.
    """
    factory = _find(reference)
    known = _parameters(factory)
    values = read_values(known, settings, reference)
    missing = [each.name for each in known if not each.default and each.name not in values]
    if missing:
        raise UsageError(
            "U103 bad-setting",
            f'{reference} needs a value for "{missing[0]}"',
            where=Location(field=missing[0]),
        )
    with seeded_torch(reference):
        try:
            return as_case(factory(**values), reference)
        except FuseflowError:
            raise
        except Exception as error:
            raise _failed(reference, error) from error


def parameters(reference: str) -> tuple[Parameter, ...]:
    """Return the settings of a factory; raises UsageError where there is no such factory."""
    return _parameters(_find(reference))


def as_case(result: object, name: str) -> ModelCase:
    """Turn what a factory returned into a case, with its module frozen in place.

    Raises ModelError if it is neither a ModelCase nor ``(module, args)``.
    """
    from torch import Tensor, nn

    if isinstance(result, ModelCase):
        freeze(result.module)
        return result
    match result:
        case (nn.Module() as module, tuple() | list() as args) if all(
            isinstance(each, Tensor) for each in args
        ):
            names = input_names_of(module, len(args))
            return ModelCase(name, freeze(module), tuple(args), names)
    raise ModelError(
        "I103 factory-result",
        f"returned {type(result).__name__}, not (module, tuple of input tensors) or a ModelCase",
        where=Location(node=name),
    )


def _find(reference: str) -> Callable[..., object]:
    path, _, name = reference.partition(":")
    if not path or not name:
        raise _no_factory(reference, "is not of the form package.module:factory")
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as error:
        raise _no_factory(reference, f'no module "{error.name}" is found') from error
    except Exception as error:
        raise _failed(reference, error) from error
    if not hasattr(module, name):
        public = {each: None for each in vars(module) if not each.startswith("_")}
        raise _no_factory(reference, f'{path} has no "{name}"', nearest(name, public))
    factory = getattr(module, name)
    if not callable(factory):
        raise _no_factory(reference, f'"{name}" cannot be called')
    return typing.cast("Callable[..., object]", factory)


def _failed(reference: str, error: Exception) -> ModelError:
    message = f"{type(error).__name__}: {error}"
    return ModelError("I102 factory-failed", message, where=Location(node=reference))


def _no_factory(reference: str, message: str, fix: str | None = None) -> UsageError:
    return UsageError("U108 no-factory", message, where=Location(node=reference), fix=fix)


def _parameters(factory: Callable[..., object]) -> tuple[Parameter, ...]:
    try:
        signature = inspect.signature(factory, eval_str=True)
    except NameError:  # an annotation that only a type checker can resolve
        signature = inspect.signature(factory)
    return tuple(
        _parameter(each)
        for each in signature.parameters.values()
        if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)
    )


def _parameter(declared: inspect.Parameter) -> Parameter:
    hint: Any = str if declared.annotation is declared.empty else declared.annotation
    default = "" if declared.default is declared.empty else repr(declared.default)
    return Parameter(declared.name, parameter_type(hint), default, "")
