"""What is equal in different voices lies in memory once.

A voice made from a base keeps many of the base's tensors as they are. They are recognised by content, so it does not
matter how a voice was stored or in which order voices come and go.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

T = TypeVar("T")

#: Smaller tensors cost less than looking after them.
LEAST_BYTES = 1024


@dataclass(slots=True)
class _Held:
    value: object
    size: int
    users: int
    needs: frozenset[str] = frozenset()


class Shared:
    """The memory that loaded voices have in common. Thread-safe. Whoever takes something gets a key, to be given to
    `release` once when it is needed no longer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._making: dict[str, threading.Lock] = {}

    def take(self, modules: Sequence[nn.Module]) -> frozenset[str]:
        """Replace every tensor of the modules that is here already by the one here, and keep the others; -> keys.

        The modules must be for inference only and not yet in use: their tensors change address, not value.
        """
        keys: set[str] = set()
        for module in modules:
            for holder, name, tensor in _tensors(module):
                if not _worth_sharing(tensor):
                    continue
                key = _digest(tensor)
                with self._lock:
                    held = self._held.setdefault(key, _Held(tensor.detach(), _size(tensor), 0))
                    held.users += key not in keys
                    keys.add(key)
                known = cast(Tensor, held.value)
                if known.data_ptr() != tensor.data_ptr():
                    _replace(holder, name, known)
        return frozenset(keys)

    def part(
        self,
        key: str,
        make: Callable[[], T],
        size: Callable[[T], int],
        needs: Callable[[T], frozenset[str]] = lambda _: frozenset(),
    ) -> T:
        """The thing of that key, made by `make` if nobody holds it; the caller becomes one more user of the key.

        Who asks while it is being made waits for that one making. `needs`: keys that the thing took for itself, to be
        released when it goes.
        """
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                held = self._held.get(key)
                if held is not None:
                    self._making.pop(key, None)
                    held.users += 1
                    return cast(T, held.value)
            try:
                made = make()
                taken, needed = needs(made), size(made)
            except BaseException:
                with self._lock:
                    self._making.pop(key, None)
                raise
            with self._lock:
                self._making.pop(key, None)
                # After a failed making two may try at once; the first one's thing stays.
                held = self._held.setdefault(key, _Held(made, needed, 0, taken))
                held.users += 1
            if held.value is not made:
                self.release(taken)
            return cast(T, held.value)

    def release(self, keys: Iterable[str]) -> None:
        """One user less for every key; memory goes when nobody is left."""
        with self._lock:
            waiting = list(keys)
            while waiting:
                key = waiting.pop()
                held = self._held[key]
                held.users -= 1
                if not held.users:
                    waiting += held.needs
                    del self._held[key]

    def own_bytes(self, keys: Iterable[str]) -> int:
        """Bytes that would come back if the user of these keys went now: what nobody else uses."""
        with self._lock:
            total, waiting = 0, list(keys)
            while waiting:
                held = self._held[waiting.pop()]
                if held.users == 1:
                    total += held.size
                    waiting += held.needs
            return total

    def addresses(self, keys: Iterable[str]) -> set[int]:
        """Where the tensors of these keys lie."""
        with self._lock:
            values = [self._held[key].value for key in keys]
        return {_place(value)[0] for value in values if isinstance(value, Tensor)}

    def keep(self, keys: Iterable[str], places: Mapping[int, int]) -> frozenset[str]:
        """Release the tensors of these keys that lie elsewhere than in `places`; -> the others' keys."""
        keys = frozenset(keys)
        kept = frozenset(key for key in keys if self.addresses([key]) <= places.keys())
        self.release(keys - kept)
        return kept

    @property
    def total_bytes(self) -> int:
        """Bytes of everything here, each counted once."""
        with self._lock:
            return sum(held.size for held in self._held.values())


def memory(*things: object) -> dict[int, int]:
    """Address and bytes of every piece of tensor and array memory that the things hold, however deep.

    Looks into modules, containers and objects of this engine; anything else counts nothing.
    """
    found: dict[int, int] = {}
    seen: set[int] = set()
    waiting: list[Any] = list(things)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, Tensor):
            address, size = _place(thing)
            found[address] = size
        elif isinstance(thing, np.ndarray):
            base = thing if thing.base is None else thing.base
            if isinstance(base, np.ndarray):
                found[base.ctypes.data] = base.nbytes
            else:
                waiting.append(base)
        elif isinstance(thing, dict):
            waiting += thing.values()
        elif isinstance(thing, list | tuple | set | frozenset):
            waiting += thing
        elif isinstance(thing, nn.Module) or type(thing).__module__.startswith("cloning.engine"):
            waiting += vars(thing).values() if hasattr(thing, "__dict__") else ()
            slots = (name for kind in type(thing).__mro__ for name in vars(kind).get("__slots__", ()))
            waiting += [getattr(thing, name, None) for name in slots]
    return found


def _place(tensor: Tensor) -> tuple[int, int]:
    if tensor.device.type == "meta":
        return 0, 0
    if tensor.layout != torch.strided:
        return id(tensor), _size(tensor)  # opaque kernels' memory has no address to ask for
    storage = tensor.untyped_storage()
    return storage.data_ptr(), storage.nbytes()


def _tensors(module: nn.Module) -> Iterator[tuple[nn.Module, str, Tensor]]:
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            yield part, name, parameter
        for name, buffer in part.named_buffers(recurse=False):
            yield part, name, buffer
        # What a module prepared for itself (packed weights) is an ordinary attribute.
        for name, value in list(vars(part).items()):
            if isinstance(value, Tensor):
                yield part, name, value


def _worth_sharing(tensor: Tensor) -> bool:
    if tensor.layout != torch.strided or tensor.device.type == "meta":
        return False
    return _size(tensor) >= LEAST_BYTES and tensor.untyped_storage().nbytes() == _size(tensor)


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _replace(holder: nn.Module, name: str, tensor: Tensor) -> None:
    if name in holder._parameters:
        holder._parameters[name] = nn.Parameter(tensor, requires_grad=False)
    elif name in holder._buffers:
        holder._buffers[name] = tensor
    else:
        setattr(holder, name, tensor)


def _digest(tensor: Tensor) -> str:
    """Of content, kind and layout in memory: a layout chosen for speed must not be swapped for another."""
    state = hashlib.sha256(f"{tensor.dtype}{tuple(tensor.shape)}{tensor.stride()}{tensor.device}".encode())
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    state.update(flat.view(torch.uint8).numpy().data)
    return state.hexdigest()
