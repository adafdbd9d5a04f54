"""Texts, values and files that are nearly right, for tests of everything that reads them."""

from __future__ import annotations

import json
import re
import struct
from typing import Any

from hypothesis import strategies as st

NASTY = (
    *("[" * 3000, "]", '{"a":' * 3000, "(" * 3000, "-" * 3000, "a" * 5000, "a " * 3000, "x." * 3000, "1+" * 3000),
    *("9" * 5000, "9" * 40, "-1", "0x" + "f" * 9000, "1e999", "NaN", "Infinity", "nan", "inf", "-0.0", "1_0", "0", "3"),
    *("\ud800", "\\ud800", "\udcff", "\0", "\\u0000", "\x1b[2J", "\u202e", "\ufeff", "²", "٣", "é", "\r\n", "\t"),
    *("'", '"', "\\", "\n", ",", ";", "=", "@", "~", "|", "+", "<-", "/", ":", ".", "#", "{}", "[]", "[[]]", "()"),
    *("true", "True", "null", "None", "1979-05-27", "range(99)", "range(10**9)", "__import__('os')", "", " ", "'\\d'"),
    *("[" * 40 + "]" * 40, "[a]\nb = 1", '"a" = 1', "a = 1\n" * 2, "normal", "reduce", "concat", "cell", "none"),
)
TOKEN = re.compile(r"\w+|\s+|[^\w\s]")


@st.composite
def mutated(draw: st.DrawFn, samples: tuple[str, ...]) -> str:
    """One of `samples` in which up to four tokens are replaced, dropped, doubled or moved."""
    tokens = TOKEN.findall(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, max(len(tokens) - 1, 0)))
        match draw(st.integers(0, 4)):
            case 0:
                tokens[place : place + 1] = [draw(st.sampled_from(NASTY))]
            case 1:
                tokens.insert(place, draw(st.sampled_from(NASTY)))
            case 2:
                del tokens[place : place + draw(st.integers(1, 5))]
            case 3:
                tokens[place:place] = tokens[place : place + draw(st.integers(1, 9))]
            case 4:
                tokens[place : place + 1] = [draw(st.text(max_size=5))]
    return "".join(tokens)


NUMBERS = st.sampled_from([0, 1, -1, 3, 2**31, 2**63, 2**64, 10**29, 0.5, -0.5, 1e300, float("nan"), float("inf")])
VALUES = st.recursive(
    NUMBERS | st.none() | st.booleans() | st.sampled_from(NASTY) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def changed(draw: st.DrawFn, samples: tuple[Any, ...]) -> Any:
    """One of `samples`, as plain data, in which up to three entries anywhere are replaced, dropped or added."""
    value = json.loads(json.dumps(draw(st.sampled_from(samples))))
    for _ in range(draw(st.integers(0, 3))):
        inner, path = value, []
        while isinstance(inner, dict | list) and inner and (not path or draw(st.booleans())):
            path.append((inner, draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner))))))
            inner = path[-1][0][path[-1][1]]
        if not path:
            return draw(VALUES)
        holder, key = path[-1]
        match draw(st.integers(0, 2)):
            case 0:
                holder[key] = draw(VALUES)
            case 1:
                del holder[key]
            case 2 if isinstance(holder, dict):
                holder[draw(st.sampled_from(NASTY))] = draw(VALUES)
            case _:
                holder.append(draw(VALUES))
    return value


@st.composite
def json_texts(draw: st.DrawFn, samples: tuple[Any, ...]) -> str:
    """JSON of such values, or JSON of a sample that is itself changed as a text."""
    if draw(st.booleans()):
        return json.dumps(draw(changed(samples)))
    return draw(mutated(tuple(map(json.dumps, samples))))


DTYPES = (*("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I64", "I32", "I8", "U64", "U16", "U8", "BOOL"), "X9")


@st.composite
def tensor_files(draw: st.DrawFn, names: tuple[str, ...], metadata: st.SearchStrategy[Any]) -> bytes:
    """A safetensors file, put together by hand: arrays of these names in any dtype and shape, and this metadata."""
    header: dict[str, Any] = {}
    begin = 0
    for name in names:
        if not draw(st.integers(0, 9)):
            continue
        dtype = draw(st.sampled_from(("I64",) * 9 + DTYPES))
        shape = draw(st.sampled_from([[], [0], [1], [3], [2, 2], [1, 2, 2, 1]]))
        count = 1
        for side in shape:
            count *= side
        size = count * int(re.sub(r"\D+", "", dtype.partition("_")[0]) or 8) // 8
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + size]}
        begin += size
    if (facts := draw(metadata)) is not None:
        header["__metadata__"] = facts
    if not draw(st.integers(0, 9)):
        header = draw(changed((header,)))
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text)) + text + draw(st.binary(min_size=begin, max_size=begin))
    cut = draw(st.sampled_from([None] * 9 + [0, 4, 8, 20, -1]))
    return content[:cut]
