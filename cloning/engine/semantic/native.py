"""The decode step as machine code, generated for a model's sizes when the model is prepared; no compiler is needed.

`kernels` writes the functions, LLVM (inside llvmlite's wheel) compiles them for this very machine in a fraction of a
second.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import llvmlite.binding as llvm

from cloning.engine.semantic.kernels import Kernels
from cloning.engine.semantic.linears import Sizes


@dataclass(slots=True)
class Step:
    """The compiled functions; keeps their engine alive. All take addresses and numbers.

    `call`: one decode step (see `Kernels.module`). `linears`: kind of weight and inputs -> a linear layer over any
    number of rows (see `Kernels.linear`), the same sums as in a step. `besides`: kind of adapter -> what adapters add
    (see `Kernels.beside`).
    """

    sizes: Sizes
    call: Callable[..., None]
    linears: Mapping[tuple[str, int], Callable[..., None]]
    besides: Mapping[str, Callable[..., None]]
    engine: llvm.ExecutionEngine = field(repr=False)


@functools.lru_cache(maxsize=32)
def compiled(sizes: Sizes) -> Step:
    """The step for these sizes, compiled once in a process (a fraction of a second)."""
    kernels = Kernels(sizes, half=reads_half())
    module = llvm.parse_assembly(str(kernels.module()))
    machine = target_machine()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(module, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    step = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 10)(engine.get_function_address("step"))
    linear = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 9, ctypes.c_bool)
    linears = {
        (kind, inputs): linear(engine.get_function_address(f"linear_{kind}_{inputs}"))
        for kind, inputs in sizes.matrices()
    }
    number = ctypes.c_int64
    beside = ctypes.CFUNCTYPE(None, *[number] * 8, ctypes.c_float, number, number, ctypes.c_bool)
    besides = {kind: beside(engine.get_function_address(f"beside_{kind}")) for kind in kernels.adapter_kinds}
    return Step(sizes, step, linears, besides, engine)


def reads_half() -> bool:
    """True when this machine widens half-precision numbers in hardware."""
    features = llvm.get_host_cpu_features()
    return bool(features.get("f16c") or features.get("fullfp16") or features.get("neon"))


def target_machine() -> llvm.TargetMachine:
    """This very machine, with everything that it can do."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True)
