"""Ways to spoil a file: bytes, text, JSON, YAML, and the instructions of a pickle."""

import copy
import io
import json
import pickletools
import random
import zipfile

# What a reader should not be surprised by in the place of any value.
VALUES = (
    None, True, False, 0, -1, 1, 7, 2**31, 2**63, -(2**63) - 1, 10**30, 1.5, float("nan"), float("inf"), "", " ", "x",
    "..", ".", "../../../../etc/passwd", "/etc/passwd", "a/../../b.jpg", "C:\\x.jpg", "..\\x.jpg", "a\nb",
    "a\x1b[2Jb", "a\0b", "a\x9b2Jb", "a\u202eb", "=1+1", "<script>x</script>", "[a](javascript:x)", "a\n\\input{b}",
    "\ud800", "\udc80", "\u2028", "é", "x" * 5000, "/" * 3000, "--5", "{{}}", "(" * 300,
    "9" * 5000, "-" * 20000 + "1", "__class__", "{0.__class__}", "${HOME}", "~/x", [], [[]], {}, {"a": 1}, [None],
    ["a", 0, "b"], [1, 2, 3],
)  # fmt: skip
TEXTS = tuple(v for v in VALUES if isinstance(v, str) and "\ud800" not in v and "\udc80" not in v)
# A pickle that touches a file of this name in the working folder, if anything follows it.
CANARY = "fuzz-canary"
CALLS = tuple(
    code.encode()
    for code in (
        f"cos\nsystem\n(S'touch {CANARY}'\ntR",
        f"cposix\nsystem\n(S'touch {CANARY}'\ntR",
        f'cbuiltins\neval\n(S\'open("{CANARY}", "w")\'\ntR',
        f'cbuiltins\nexec\n(S\'open("{CANARY}", "w")\'\ntR',
        f"csubprocess\nPopen\n((S'touch'\nS'{CANARY}'\nltR",
        f"(S'touch {CANARY}'\nios\nsystem\n",
        "cbuiltins\ngetattr\n(cos\nS'system'\ntR",
        f"cbuiltins\nopen\n(S'{CANARY}'\nS'w'\ntR",
        "cnumpy\nload\n(S'x.npy'\ntR",
        "ctorch\nload\n(S'x.pt'\ntR",
        "cdassl.data.datasets.base_dataset\nDatum\n(S'/etc/passwd'\ntR",
        "c__builtin__\nrange\n(I3\ntR",
        "ccollections\nOrderedDict\n)R",
        "ctorch.jit\nload\n(S'x.pt'\ntR",
    )
)
TAGS = (
    f'!!python/object/apply:os.system ["touch {CANARY}"]',
    f'!!python/object/new:os.system ["touch {CANARY}"]',
    f"!!python/object/apply:subprocess.Popen [[touch, {CANARY}]]",
    f"!!python/object/apply:builtins.exec [\"open('{CANARY}', 'w')\"]",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/tuple [1, 2]",
    "!!timestamp x",
    "!!int ''",
    "!!binary x",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "2001-99-99",
    "2001-01-01",
    "0b",
    "1:99:99",
    "&a [*a]",
    "{? {a: 1} : 2}",
    "<<: 3",
    "1e999",
    "9" * 5000,
    "[" * 3000,
)


def spoil_bytes(data: bytes, r: random.Random, other: bytes = b"") -> bytes:
    """One to three changes: bits, bytes, cuts, repetitions, a piece of another file, numbers that are too large."""
    data = bytearray(data)
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        at, size = r.randrange(len(data) + 1), r.choice((1, 2, 4, 8, 40, 400))
        match r.randrange(9):
            case 0 if data:
                data[at % len(data)] ^= 1 << r.randrange(8)
            case 1 if data:
                data[at % len(data)] = r.randrange(256)
            case 2:
                del data[at:]
            case 3:
                del data[at : at + size]
            case 4:
                data[at:at] = data[at : at + size] * r.choice((1, 2, 20))
            case 5:
                data[at : at + size] = r.randbytes(size)
            case 6 if other:
                start = r.randrange(len(other))
                data[at : at + size] = other[start : start + size]
            case 7:
                data[at : at + 8] = r.choice((b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f", b"\x80" + b"\0" * 7))
            case _:
                data += r.choice((b"\0", b"\n", bytes(data[: 4 * size]), r.randbytes(size)))
    return bytes(data)


def spoil_text(data: bytes, r: random.Random, other: bytes = b"") -> bytes:
    """Lines moved, repeated and dropped; words replaced; the rest as of bytes."""
    if r.random() < 0.3:
        return spoil_bytes(data, r, other)
    lines = data.decode("utf-8", "replace").splitlines(keepends=True) or [""]
    for _ in range(r.choice((1, 1, 2, 4))):
        at = r.randrange(len(lines))
        match r.randrange(7):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.insert(at, lines[r.randrange(len(lines))])
            case 2:
                lines[at] = _word_replaced(lines[at], r)
            case 3:
                lines[at] = _word_replaced(lines[at], r)
            case 4:
                r.shuffle(lines)
            case 5:
                lines[at] = lines[at].rstrip("\n") + r.choice(
                    (",", " ", "\t", '"', "'", ",,", " x", "\r", "\x0b", "\ufeff")
                )
            case _:
                lines.insert(at, r.choice(TEXTS) + r.choice(("", "\n")))
    return "".join(lines).encode("utf-8", "surrogatepass")


def _word_replaced(line: str, r: random.Random) -> str:
    for separator in r.sample((",", " ", "\t", ":", "/"), 5):
        words = line.split(separator)
        if len(words) > 1:
            words[r.randrange(len(words))] = r.choice(TEXTS)
            return separator.join(words)
    return r.choice(TEXTS) + "\n"


def spoil_json(data: bytes, r: random.Random, other: bytes = b"") -> bytes:
    """Values replaced, moved, repeated and dropped, keys renamed; sometimes nested without end, or as text."""
    kind = r.random()
    if kind < 0.2:
        return spoil_bytes(data, r, other)
    content = json.loads(data)
    for _ in range(r.choice((1, 1, 2, 3))):
        content = spoil_value(content, r)
    text = json.dumps(content)
    if kind < 0.24:
        deep = r.choice((100, 900, 990, 100_000))
        text = text.replace(r.choice(("[", "{", '"')), "[" * deep, 1) if r.random() < 0.5 else "[" * deep + "]" * deep
    elif kind < 0.28:
        text = text.replace("1", r.choice(("1" * 5000, "1e999", "01", "1.", "-", "NaN")), 1)
    return text.encode()


def spoil_value(content: object, r: random.Random) -> object:
    """``content`` with one change at a place of its own choice."""
    places = list(_places(content))
    if not places or r.random() < 0.03:
        return copy.deepcopy(r.choice(VALUES))
    parent, key = r.choice(places)
    value = parent[key]
    match r.randrange(7):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.insert(key, copy.deepcopy(value))
        case 1:
            parent[r.choice((key + "x", "", "__class__", "train", "dataset"))] = copy.deepcopy(value)
        case 2:
            other, place = r.choice(places)
            try:
                parent[key] = copy.deepcopy(other[place])
            except LookupError:
                parent[key] = None
        case 3 if isinstance(value, list):
            r.shuffle(value)
        case 3 if isinstance(value, str):
            at = r.randrange(len(value) + 1)
            parent[key] = value[:at] + r.choice(("..", "/", "\n", "\0", "x", "")) + value[at + r.randrange(2) :]
        case 4 if isinstance(value, int | float):
            parent[key] = r.choice((value + 1, -value, value * 10**20, float(value), str(value)))
        case _:
            parent[key] = copy.deepcopy(r.choice(VALUES))
    return content


def _places(node: object):
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(pairs):
        yield node, key
        yield from _places(value)


def spoil_json_lines(data: bytes, r: random.Random, other: bytes = b"") -> bytes:
    """One line as JSON, or all as text."""
    lines = data.splitlines()
    if r.random() < 0.4 or not lines:
        return spoil_text(data, r, other)
    at = r.randrange(len(lines))
    lines[at] = spoil_json(lines[at], r, other)
    return b"\n".join(lines)


def spoil_yaml(data: bytes, r: random.Random, other: bytes = b"") -> bytes:
    """Values of the tree replaced; tags, aliases and bombs put in; the rest as of text."""
    import yaml

    kind = r.random()
    if kind < 0.35:
        return spoil_text(data, r, other)
    if kind < 0.4:
        return _alias_bomb(r) + data
    content = yaml.safe_load(data)
    for _ in range(r.choice((1, 1, 2))):
        content = spoil_value(content, r)
    mark = "fuzzmark"
    tagged = kind < 0.7
    if tagged:
        places = list(_places(content))
        if places:
            parent, key = r.choice(places)
            parent[key] = mark
    try:
        text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    except (yaml.YAMLError, UnicodeEncodeError):
        text = json.dumps(content)
    return text.replace(mark, r.choice(TAGS)).encode("utf-8", "surrogatepass")


def _alias_bomb(r: random.Random) -> bytes:
    wide, tall = r.choice((2, 10)), r.choice((5, 30))
    names = [f"n{i}" for i in range(tall)]
    lines = [f"{names[0]}: &{names[0]} [1]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * wide)}]" for a, b in zip(names, names[1:], strict=False)]
    return ("\n".join(lines) + "\n").encode()


def spoil_pickle(data: bytes, r: random.Random, other: bytes = b"") -> bytes:
    """Instructions dropped, repeated, swapped and replaced; calls put in; the rest as of bytes."""
    if r.random() < 0.25:
        return spoil_bytes(data, r, other)
    try:
        starts = [position for _, _, position in pickletools.genops(data)]
    except Exception:  # not a single pickle
        return spoil_bytes(data, r, other)
    codes = [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]
    for _ in range(r.choice((1, 1, 2))):
        at = r.randrange(len(codes))
        match r.randrange(7):
            case 0:
                del codes[at]
                codes = codes or [b"."]
            case 1:
                codes.insert(at, codes[r.randrange(len(codes))])
            case 2:
                codes[at] = codes[r.randrange(len(codes))]
            case 3:
                codes[at:at] = [r.choice(CALLS)]
            case 4:
                codes[at] = r.choice(CALLS)
            case 5:
                codes[at:at] = [r.choice(_CODES)]
            case _:
                codes[at] = r.choice(_CODES)
    return b"".join(codes)


_CODES = (
    b"0", b"1", b"2", b"(", b")", b"]", b"}", b"N", b"K\x07", b"J\xff\xff\xff\xff", b"\x88", b"G\x7f\xf8\0\0\0\0\0\0",
    b"t", b"\x85", b"\x86", b"R", b"b", b"\x81", b"\x92", b"o", b"\x93", b"a", b"e", b"s", b"u", b"\x90", b"\x91",
    b"\x8f", b"\x94", b"q\xff", b"r\xff\xff\xff\xff", b"h\xff", b"j\xff\xff\xff\xff", b"Q", b"Ptorch\n", b"\x82\x01",
    b"\x80\x05", b"\x80\xff", b"X\xff\xff\xff\xff", b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x97", b"\x98", b"\x8b\xff\xff\xff\x7f", b"X\x05\0\0\0a\nb\x1bc",
    b"X\x0c\0\0\0__setstate__", b"X\x09\0\0\0__class__", b"L" + b"9" * 5000 + b"L\n",
    b"X\x08\0\0\0__repr__X\x01\0\0\0x", b"X\x07\0\0\0os\nx\x1b[X\x06\0\0\0system\x93",
)  # fmt: skip


def spoil_zip(data: bytes, r: random.Random, other: bytes = b"", name: str = "data.pkl", spoil=spoil_pickle) -> bytes:
    """The member ``name`` spoiled inside an archive that is whole again; or members dropped, renamed and swapped."""
    if r.random() < 0.25:
        return spoil_bytes(data, r, other)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [[info.filename, archive.read(info)] for info in archive.infolist()]
    except Exception:  # no archive
        return spoil(data, r, other)
    places = [i for i, (member, _) in enumerate(members) if member.endswith(name)]
    at = r.randrange(len(members))
    kind = r.random()
    if places and kind < 0.75:
        members[places[0]][1] = spoil(members[places[0]][1], r)
    elif kind < 0.8 and len(members) > 1:
        del members[at]
    elif kind < 0.85:
        members[at][0] = r.choice(("../x", "/etc/x", "x", members[0][0], "a\\..\\..\\x", "top/constants.pkl"))
    elif kind < 0.9:
        members[at][1] = members[r.randrange(len(members))][1]
    else:
        members[at][1] = spoil_bytes(members[at][1], r, other)
    packing = zipfile.ZIP_DEFLATED if r.random() < 0.1 else zipfile.ZIP_STORED
    if packing == zipfile.ZIP_DEFLATED and r.random() < 0.5:
        members[at][1] = bytes(2**25)  # a few bytes in the file
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", packing) as archive:
        for member, content in members:
            archive.writestr(zipfile.ZipInfo(member), content, packing)
    return written.getvalue()
