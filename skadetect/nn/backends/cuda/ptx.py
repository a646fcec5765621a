"""Every inline PTX instruction of the CUDA back end, each as one device function.

Tensor cores (mma.sync, wgmma), asynchronous copies, 16-byte accesses and 16-bit conversions, which CUDA
Python has no names for. `emulation` offers the same names for the CUDA simulator; `device` chooses between
the two. Addresses are plain integers: 64 bits in global memory (`address`), 32 bits in a block's shared
memory (`shared_address`). The instructions are described in NVIDIA's PTX ISA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

WORD, LONG, FLOAT = types.uint32, types.uint64, types.float32
_LLVM = {WORD: ir.IntType(32), LONG: ir.IntType(64), FLOAT: ir.FloatType()}
_LETTER = {WORD: "r", LONG: "l", FLOAT: "f"}
_MEMORY = "~{memory}"


def instruction(
    text: str, arguments: Sequence[Any], results: Sequence[Any] = (), *, effect: bool = False
) -> Any:
    """Make a device function of one or more PTX instructions.

    Parameters
    ----------
    text : str
        PTX in which ``$0``, ``$1`` ... are first the results, then the arguments.
    arguments, results : sequence of numba types
        Of WORD, LONG and FLOAT; several results, all of one type, come back as a tuple.
    effect : bool
        It reads or writes memory or waits: neither removed nor moved past its like.
    """
    letters = [f"={_LETTER[t]}" for t in results] + [_LETTER[t] for t in arguments]
    constraints = ",".join([*letters, _MEMORY] if effect else letters)
    returned = types.void if not results else results[0]
    returned = types.UniTuple(results[0], len(results)) if len(results) > 1 else returned

    def generate(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        kinds = [_LLVM[t] for t in results]
        result = ir.VoidType() if not kinds else kinds[0]
        result = ir.LiteralStructType(kinds) if len(kinds) > 1 else result
        function = ir.FunctionType(result, [_LLVM[t] for t in arguments])
        values = [context.cast(builder, v, a, b) for v, a, b in zip(given, signature.args, arguments)]
        called = builder.call(ir.InlineAsm(function, text, constraints, side_effect=effect), values)
        if not kinds:
            return context.get_dummy_value()
        if len(kinds) == 1:
            return called
        parts = [builder.extract_value(called, place) for place in range(len(kinds))]
        return context.make_tuple(builder, signature.return_type, parts)

    return intrinsic(_typed(len(arguments), returned(*arguments), generate))


def _typed(count: int, signature: Any, generate: Callable[..., Any]) -> Callable[..., Any]:
    """Typing function of a number of arguments, as `intrinsic` wants it; what is given is cast."""
    makers: dict[int, Callable[..., Any]] = {
        0: lambda typing: (signature, generate),
        1: lambda typing, a: (signature, generate),
        2: lambda typing, a, b: (signature, generate),
        3: lambda typing, a, b, c: (signature, generate),
        5: lambda typing, a, b, c, d, e: (signature, generate),
        10: lambda typing, a, b, c, d, e, f, g, h, i, j: (signature, generate),
    }
    return makers[count]


# Tensor cores: D (16 x 8, float32) = A (16 x k) B (k x 8) + C ----------------------------------------------


def _mma(shape: str, kind: str) -> Any:
    text = (
        f"mma.sync.aligned.{shape}.row.col.f32.{kind}.{kind}.f32 "
        "{$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};"
    )
    return instruction(text, [WORD] * 6 + [FLOAT] * 4, [FLOAT] * 4)


mma_fp16 = _mma("m16n8k16", "f16")
mma_bf16 = _mma("m16n8k16", "bf16")
mma_tf32 = _mma("m16n8k8", "tf32")
MMA = {"fp16": mma_fp16, "bf16": mma_bf16, "tf32": mma_tf32}

#: Four 8 x 8 matrices of 16 bits (or 8 x 4 of 32) whose rows the lanes' addresses name, spread as mma wants.
load_matrix = instruction(
    "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {$0,$1,$2,$3}, [$4];", [WORD], [WORD] * 4, effect=True
)
load_matrix_transposed = instruction(
    "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {$0,$1,$2,$3}, [$4];", [WORD], [WORD] * 4, effect=True
)
#: Make what this thread wrote to shared memory visible to wgmma, which reads it by another way.
fence_shared = instruction("fence.proxy.async.shared::cta;", [], effect=True)


def make_wgmma(columns: int, precision: str) -> Any:
    """Warp-group product of sm_90a: acc (64 x columns) += A (64 x 128 bytes) B (columns x 128 bytes).

    The device function takes a local array of columns / 2 floats and the descriptors of both tiles, whose
    rows are 128 bytes, swizzled, along k (PTX ISA, asynchronous warpgroup-level matrix instructions).
    """
    count = columns // 2
    text = _wgmma_text(columns, precision)
    ties = [str(place) for place in range(count)]
    constraints = ",".join(["=f"] * count + ties + ["l", "l", _MEMORY])

    @intrinsic
    def wgmma(typing: Any, accumulators: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
            data = context.make_array(signature.args[0])(context, builder, value=given[0]).data
            first = builder.bitcast(data, ir.PointerType(ir.FloatType()))
            places = [builder.gep(first, [ir.IntType(32)(place)]) for place in range(count)]
            values = [builder.load(place) for place in places]
            result = ir.LiteralStructType([ir.FloatType()] * count)
            function = ir.FunctionType(result, [ir.FloatType()] * count + [ir.IntType(64)] * 2)
            called = builder.call(
                ir.InlineAsm(function, text, constraints, side_effect=True), [*values, given[1], given[2]]
            )
            for index, place in enumerate(places):
                builder.store(builder.extract_value(called, index), place)
            return context.get_dummy_value()

        return types.void(accumulators, LONG, LONG), generate

    return wgmma


def _wgmma_text(columns: int, precision: str) -> str:
    count = columns // 2
    depth, kind, flags = {
        "fp16": (16, "f16.f16", ", 0, 0"),
        "bf16": (16, "bf16.bf16", ", 0, 0"),
        "tf32": (8, "tf32.tf32", ""),
    }[precision]
    registers = "{" + ",".join(f"${place}" for place in range(count)) + "}"
    name = f"wgmma.mma_async.sync.aligned.m64n{columns}k{depth}.f32.{kind}"
    lines = ["wgmma.fence.sync.aligned;", ".reg .b64 da, db;"]
    for step in range(4):  # 32 bytes along k each: 2 in the descriptors' units
        lines.append(f"add.s64 da, ${2 * count}, {2 * step}; add.s64 db, ${2 * count + 1}, {2 * step};")
        lines.append(f"{name} {registers}, da, db, 1, 1, 1{flags};")
    lines += ["wgmma.commit_group.sync.aligned;", "wgmma.wait_group.sync.aligned 0;"]
    return "{ " + " ".join(lines) + " }"


# Copies and accesses ----------------------------------------------------------------------------------------

#: Copy 16 bytes from global to shared memory in the background; of the 16, the bytes beyond $2 become zero.
copy_async = instruction(
    "cp.async.cg.shared.global.L2::128B [$0], [$1], 16, $2;", [WORD, LONG, WORD], effect=True
)
commit_copies = instruction("cp.async.commit_group;", [], effect=True)
#: Wait until at most this many of the latest groups of copies are under way.
WAIT = {count: instruction(f"cp.async.wait_group {count};", [], effect=True) for count in range(4)}
sync_warp = instruction("bar.warp.sync 0xffffffff;", [], effect=True)

load_words = instruction("ld.global.v4.b32 {$0,$1,$2,$3}, [$4];", [LONG], [WORD] * 4, effect=True)
#: Of what no kernel under way writes: through the read-only cache, and free to be moved.
load_const_words = instruction("ld.global.nc.v4.b32 {$0,$1,$2,$3}, [$4];", [LONG], [WORD] * 4)
store_words = instruction(
    "st.global.v4.b32 [$0], {$1,$2,$3,$4};", [LONG, WORD, WORD, WORD, WORD], effect=True
)
load_half = instruction(
    "{ .reg .u16 t; ld.global.b16 t, [$1]; cvt.u32.u16 $0, t; }", [LONG], [WORD], effect=True
)
store_half = instruction(
    "{ .reg .u16 t; cvt.u16.u32 t, $1; st.global.b16 [$0], t; }", [LONG, WORD], effect=True
)
load_word = instruction("ld.global.b32 $0, [$1];", [LONG], [WORD], effect=True)
store_word = instruction("st.global.b32 [$0], $1;", [LONG, WORD], effect=True)
load_const_half = instruction("{ .reg .u16 t; ld.global.nc.b16 t, [$1]; cvt.u32.u16 $0, t; }", [LONG], [WORD])
load_const_word = instruction("ld.global.nc.b32 $0, [$1];", [LONG], [WORD])

load_shared_floats = instruction("ld.shared.v4.f32 {$0,$1,$2,$3}, [$4];", [WORD], [FLOAT] * 4, effect=True)
load_shared_float = instruction("ld.shared.f32 $0, [$1];", [WORD], [FLOAT], effect=True)
store_shared_pair = instruction("st.shared.v2.f32 [$0], {$1,$2};", [WORD, FLOAT, FLOAT], effect=True)
store_shared_words = instruction(
    "st.shared.v4.b32 [$0], {$1,$2,$3,$4};", [WORD, WORD, WORD, WORD, WORD], effect=True
)


@intrinsic
def address(typing: Any, array: Any) -> Any:
    """64-bit address of a global array's first element."""

    def generate(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        data = context.make_array(signature.args[0])(context, builder, value=given[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return LONG(array), generate


@intrinsic
def shared_address(typing: Any, array: Any) -> Any:
    """32-bit address of a shared array's first element in the shared window."""

    def generate(context: Any, builder: Any, signature: Any, given: Sequence[Any]) -> Any:
        data = context.make_array(signature.args[0])(context, builder, value=given[0]).data
        generic = builder.ptrtoint(data, ir.IntType(64))
        function = ir.FunctionType(ir.IntType(32), [ir.IntType(64)])
        text = "{ .reg .u64 t; cvta.to.shared.u64 t, $1; cvt.u32.u64 $0, t; }"
        return builder.call(ir.InlineAsm(function, text, "=r,l"), [generic])

    return WORD(array), generate


# Numbers: 16-bit ones sit in the low half of a word ---------------------------------------------------------

float_of_fp16 = instruction("{ .reg .b16 t; cvt.u16.u32 t, $1; cvt.f32.f16 $0, t; }", [WORD], [FLOAT])
float_of_bf16 = instruction("{ .reg .b32 t; shl.b32 t, $1, 16; mov.b32 $0, t; }", [WORD], [FLOAT])
fp16_of_float = instruction("{ .reg .b16 t; cvt.rn.f16.f32 t, $1; cvt.u32.u16 $0, t; }", [FLOAT], [WORD])
bf16_of_float = instruction("{ .reg .b16 t; cvt.rn.bf16.f32 t, $1; cvt.u32.u16 $0, t; }", [FLOAT], [WORD])
#: Two numbers in one word, the first in the low half.
fp16_pair = instruction("cvt.rn.f16x2.f32 $0, $2, $1;", [FLOAT, FLOAT], [WORD])
bf16_pair = instruction("cvt.rn.bf16x2.f32 $0, $2, $1;", [FLOAT, FLOAT], [WORD])
#: The nearest number that a tf32 tensor core keeps whole.
round_tf32 = instruction("cvt.rna.tf32.f32 $0, $1;", [FLOAT], [WORD])
#: Whole quotient of 32-bit numbers without sign: Numba would divide in 64 bits.
divide = instruction("div.u32 $0, $1, $2;", [WORD, WORD], [WORD])
float_of_word = instruction("mov.b32 $0, $1;", [WORD], [FLOAT])
word_of_float = instruction("mov.b32 $0, $1;", [FLOAT], [WORD])
