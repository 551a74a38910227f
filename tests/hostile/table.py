"""The table: what is given to the commands, by families. Each case says what the command must answer."""

import zlib
from collections.abc import Iterator

from options import evaluate_parser, export_parser, fill_parser, train_parser
from tests.hostile.damages import ANY, ARRAYS, PICKLES, PICTURES, TEXTS, content, edited, png, text
from tests.hostile.harness import Case
from tests.hostile.world import NETWORK, TINY
from tools import benchmark, check_masks, convert_weights, generate_masks, masks_from_video, plot_metrics
from utils.run_folder import LOCK, LOG

TEST = "test --weights {user}/weights --threads 1"
FILL = f"{TEST} --input {{user}}/pictures/0.png"
EVAL = "eval --method telea --num_workers 0"
TRAIN = f"train {TINY} --max_iters 1"
RESUME = f"train {TINY} --image_root {{user}}/pictures --ema_decay 0.5 --max_iters 3"

PARSERS = {
    "train": train_parser,
    "test": fill_parser,
    "eval": evaluate_parser,
    "export": export_parser,
    "benchmark": benchmark.build_parser,
    "check_masks": check_masks.build_parser,
    "convert_weights": convert_weights.build_parser,
    "generate_masks": generate_masks.build_parser,
    "masks_from_video": masks_from_video.build_parser,
    "plot_metrics": plot_metrics.build_parser,
}
NEEDED = {  # what each command must be given beside the option that is tried
    "benchmark": "network",
    "convert_weights": "--weights {user}/weights --output out",
    "check_masks": "{user}/masks",
    "generate_masks": "--count 1 --output out",
    "masks_from_video": "{user}/frames --output out",
    "plot_metrics": "{user}/run",
}


def case(words: str, *says: str, **settings) -> Case:
    command, *arguments = words.split(" ")
    return Case(command, tuple(argument.replace("␣", " ") for argument in arguments if argument), says, **settings)


def table() -> dict[str, Case]:
    """All cases by name."""
    families = (
        options,
        names,
        pictures,
        masks,
        videos,
        lists,
        presets,
        manifests,
        weights,
        metas,
        runs,
        curves,
        exports,
        odd,
    )
    found = {}
    for family in families:
        for name, entry in family():
            assert name not in found, name
            found[f"{family.__name__}: {name}"] = entry
    return found


USUAL = {"options": 5, "names": 2, "lists": 3, "weights": 3, "metas": 3, "runs": 2, "exports": 3}  # one in so many


def is_usual(name: str) -> bool:
    """Whether a case is among those of every run of the tests: of large families a part, always the same."""
    family = name.partition(":")[0]
    return "forged dtype" in name or zlib.crc32(name.encode()) % USUAL.get(family, 1) == 0


# Options: each of each command, with what it cannot be.

NUMBERS = ("", "x", "-1", "nan", "-inf", "1e999", "9" * 5000, "²", "0x10", "1e12", "\x1b[31m")
CHOICES = ("", "x", "a␣b", "\x1b[31m", "a" * 5000)


def options() -> Iterator[tuple[str, Case]]:
    for command, make in PARSERS.items():
        start = f"{command} {NEEDED.get(command, '')}"
        yield f"{command} --outptu", case(f"{start} --outptu x", "--outptu")
        yield f"{command} \\x00", case(f"{start} --a\x00b", "--a")
        for action in make()._actions:
            option = next(iter(action.option_strings), action.dest)
            values = CHOICES if action.choices else NUMBERS if action.type else ()
            for value in values if action.option_strings else ():
                yield f"{command} {option}={value[:20]!r}", case(f"{start} {option}={value}", option)
            if action.nargs not in (0, "?") and action.option_strings:
                yield f"{command} {option}", case(f"{start} {option}", option)


# Paths: each option that takes one, with what no file is called.

READ = {  # option: what else must be there
    "train": {
        "--config": "",
        "--image_root": TINY,
        "--val_image_root": f"{TINY} --image_root {{user}}/pictures",
        "--mask_root": f"{TINY} --image_root {{user}}/pictures",
        "--weights": f"{TINY} --image_root {{user}}/pictures",
        "--vgg_weights": f"{NETWORK} --image_size 32 --image_root {{user}}/pictures --val_count 2",
        "--resume": f"{TINY} --image_root {{user}}/pictures",
    },
    "test": {"--input": "", "--mask": "--input {user}/pictures/0.png", "--weights": "--input {user}/pictures/0.png"},
    "eval": {
        "--images": "--method mean",
        "--masks": "--method mean --images {user}/pictures",
        "--weights": "--images {user}/pictures --masks {user}/masks",
    },
    "export": {"--weights": ""},
    "convert_weights": {"--weights": "--output out", "--average": "--output out --weights {user}/weights"},
}
NO_FILES = {
    "nothing": "{bad}/nothing",
    "below a file": "{user}/mask.png/a",
    "too long": "{bad}/" + "a" * 300,
    "far too long": "{bad}/" + "a/" * 5000,
    "empty": "",
    "blank": "␣",
    "zero": "{bad}/a\0b",
    "loop": "{bad}/loop",
    "pipe": "{bad}/pipe",
    "device": "/dev/zero",
    "folder": "{bad}/folder",
    "escape": "{bad}/\x1b[31m",
    "undecodable": "{bad}/\udcff",
    "home": "~/nothing",
}
WRITTEN = {  # option: its command, and what else must be there
    "--log_dir": f"{TRAIN} --image_root {{user}}/pictures",
    "--output": f"{FILL}",
    "--output ": f"{EVAL} --images {{user}}/pictures --masks {{user}}/masks",
    "--manifest": f"{EVAL} --images {{user}}/pictures --masks {{user}}/masks",
    "--output  ": "export --weights {user}/weights --threads 1",
    "--output   ": "convert_weights --weights {user}/weights",
    "--output    ": "generate_masks --count 1 --size 32",
    "--output     ": "plot_metrics {user}/run",
    "--output      ": "masks_from_video {user}/frames",
    "--contact_sheet": "generate_masks --count 1 --size 32 --output out",
    "--contact_sheet ": "check_masks {user}/masks",
}
NO_PLACES = {
    "a file": "{user}/thesis/thesis.txt",
    "below a file": "{user}/mask.png/a",
    "too long": "{bad}/" + "a" * 300,
    "far too long": "{bad}/" + "a/" * 5000,
    "empty": "",
    "zero": "{bad}/a\0b",
    "loop": "{bad}/loop",
    "pipe": "{bad}/pipe",
    "device": "/dev/null",
    "proc": "/proc/nothing",
    "a thesis": "{user}/thesis",
}
PLACES = {"loop": ANY["loop"], "pipe": ANY["pipe"], "folder": ANY["folder"]}


def names() -> Iterator[tuple[str, Case]]:
    for command, tried in READ.items():
        for (option, beside), (what, path) in ((a, b) for a in tried.items() for b in NO_FILES.items()):
            words = f"{command} {beside} {option}={path}"
            yield f"{command} {option} {what}", case(words, option, damage=PLACES, lines=2)
    for (option, start), (what, path) in ((a, b) for a in WRITTEN.items() for b in NO_PLACES.items()):
        if what == "a thesis" and start.split()[0] in ("test", "eval", "plot_metrics"):
            continue  # these add to a folder
        command = start.split()[0]
        words, lines = f"{start} {option.strip()}={path}", 2 if option == "--manifest" else 1
        says = (option.strip(), "/proc/nothing")
        yield f"{command} {option.strip()} {what}", case(words, *says, damage=PLACES, lines=lines)


# Files, by kind.


def pictures() -> Iterator[tuple[str, Case]]:
    for what, damage in (ANY | PICTURES).items():
        bad = {"bad.png": damage}
        yield f"test {what}", case(f"{TEST} --input {{bad}}/bad.png", "bad.png", "--input", damage=bad, lines=2)
        words = f"{EVAL} --masks {{user}}/masks --images {{bad}}/bad.png"
        yield f"eval {what}", case(words, "bad.png", "--images", damage=bad)
        folder = {f"set/{name}.png": damage for name in "ab"}
        yield f"train {what}", case(f"{TRAIN} --image_root {{bad}}/set", "--image_root", damage=folder, lines=5)
        if what not in ("folder", "pipe", "endless", "loop", "gone"):  # which are no pictures to begin with
            among = {"base": ("pictures",), "damage": {"pictures/1.png": damage}}
            words = f"{TEST} --input {{bad}}/pictures --mask {{user}}/mask.png"
            yield f"test among others {what}", case(words, "1.png", lines=2, writes=True, **among)


def masks() -> Iterator[tuple[str, Case]]:
    for what, damage in (ANY | PICTURES).items():
        bad = {"bad.png": damage}
        yield f"test {what}", case(f"{FILL} --mask {{bad}}/bad.png", "bad.png", "--mask", damage=bad, lines=2)
        words = f"{EVAL} --images {{user}}/pictures --masks {{bad}}/bad.png"
        yield f"eval {what}", case(words, "bad.png", "--masks", damage=bad)
        words = f"{TRAIN} --image_root {{user}}/pictures --mask_root {{bad}}/bad.png"
        yield f"train {what}", case(words, "--mask_root", damage=bad, lines=3)
        yield f"check {what}", case("check_masks {bad}/bad.png", "bad.png", "DIR", damage=bad, lines=2)
    for what, path in NO_FILES.items():
        yield f"check {what}", case(f"check_masks {path}", "DIR", damage=PLACES, lines=2)


VIDEOS = {
    "playlist": text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
    "series": text("ffconcat version 1.0\nfile /etc/passwd\n"),
    "head alone": content(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"),
    "RIFF alone": content(b"RIFF\xff\xff\xff\x7fAVI LIST\xff\xff\xff\x7fhdrlavih"),
    "one picture": content(png(48, 48, bytes(48 * (1 + 3 * 48)))),
}


def videos() -> Iterator[tuple[str, Case]]:
    for what, damage in (ANY | VIDEOS).items():
        words = "masks_from_video {bad}/clip.mp4 --size 48 --output out"
        yield what, case(words, "clip.mp4", damage={"clip.mp4": damage}, lines=2)
    for what, path in NO_FILES.items():
        yield f"name {what}", case(f"masks_from_video {path} --output out", "VIDEO|DIR", damage=PLACES, lines=2)
    for what, damage in (ANY | PICTURES).items():
        if what not in ("folder", "pipe", "endless", "loop", "gone"):  # which are no frames to begin with
            among = {"base": ("frames",), "damage": {"frames/1.png": damage}}
            words = "masks_from_video {bad}/frames --size 48 --output out"
            yield f"among others {what}", case(words, "1.png", lines=2, **among)
    yield "one frame", case("masks_from_video {user}/frames/0.png --output out", "0.png", lines=2)
    yield "standing still", case("masks_from_video {bad}/list.txt --output out", "motion", damage=STILL)
    yield "of two sizes", case("masks_from_video {bad}/list.txt --output out", "48x48", damage=TWO_SIZES)


STILL = {"list.txt": text("a.png\n" * 3), "a.png": content(png(48, 48, bytes(48 * (1 + 3 * 48))))}
TWO_SIZES = {**STILL, "list.txt": text("a.png\nb.png\n"), "b.png": content(png(40, 48, bytes(48 * (1 + 3 * 40))))}


LISTS = {
    "nothing in it": text("\n# only a remark\n"),
    "no such picture": text("nothing.png\n"),
    "no picture": text("thesis.txt\n"),
    "a folder": text("..\n"),
    "itself": text("list.txt\n"),
    "too long": text("a" * 300 + ".png\n"),
    "far too long": text("a/" * 5000 + ".png\n"),
    "device": text("/dev/zero\n"),
    "zero": text("a\0.png\n"),
    "escape": text("\x1b[31m.png\n"),
}


def lists() -> Iterator[tuple[str, Case]]:
    commands = {
        "test": f"{TEST} --input",
        "test masks": f"{FILL} --mask",
        "eval": f"{EVAL} --images",
        "eval masks": f"{EVAL} --images {{user}}/pictures --masks",
        "train": f"{TRAIN} --image_root",
        "train masks": f"{TRAIN} --image_root {{user}}/pictures --mask_root",
    }
    for (name, words), (what, damage) in ((a, b) for a in commands.items() for b in (ANY | TEXTS | LISTS).items()):
        yield f"{name} {what}", case(f"{words} {{bad}}/list.txt", "list.txt", damage={"list.txt": damage}, lines=2)


PRESETS = {
    "unknown key": text("lr: 1\nbatchsize: 3\n"),
    "twice": text("lr: 1\nlr: 2\n"),
    "a list": text("image_root: [a, b]\n"),
    "NaN": text("lr: .nan\n"),
    "infinity": text("lr: -.inf\n"),
    "beyond": text("batch_size: 1000000000\n"),
    "tag": text("lr: !!python/object/apply:os.abort []\n"),
    "laughs": text("a: &a [x, x]\nb: &b [*a, *a]\nlr: *b\n"),
    "number": text("1: 2\n"),
    "empty value": text("image_root: ''\n"),
    "zero": text('image_root: "a\\0b"\n'),
    "two documents": text("lr: 1\n---\nlr: 2\n"),
    "itself": text("config: preset.yaml\n"),
    "null": text("model: null\nlr: x\n"),
}


def presets() -> Iterator[tuple[str, Case]]:
    for what, damage in (ANY | TEXTS | PRESETS).items():
        yield what, case("train --config {bad}/preset.yaml", "preset.yaml", damage={"preset.yaml": damage})


MANIFESTS = {
    "other columns": text("a,b\n1,2\n"),
    "no pair": text("image,mask\n"),
    "no such picture": text("image,mask\nnothing.png,0.png\n"),
    "one cell": text("image,mask\n0.png\n"),
    "digits": text(f"image,mask\n0.png,generated:{'9' * 5000}:0.1-0.2:N\n"),
    "no bucket": text("image,mask\n0.png,generated:1:0.1-0.3:N\n"),
    "no sample": text("image,mask\nsample:x,0.png\n"),
    "outside": text("image,mask\n../../../../dev/zero,0.png\n"),
    "device": text("image,mask\n/dev/zero,0.png\n"),
    "zero": text("image,mask\na\0b,0.png\n"),
    "open quote": text('image,mask\n"0.png,0.png\n' + "a" * 200_000),
    "too long": text(f"image,mask\n{'a' * 300},0.png\n"),
}


def manifests() -> Iterator[tuple[str, Case]]:
    words = f"{EVAL} --images {{user}}/pictures --masks {{user}}/masks --manifest {{bad}}/pairs.csv"
    for what, damage in (ANY | TEXTS | MANIFESTS).items():
        yield what, case(words, "pairs.csv", "--manifest", damage={"pairs.csv": damage}, lines=2)


def weights() -> Iterator[tuple[str, Case]]:
    commands = {
        "test": "test --input {user}/pictures/0.png --threads 1 --weights",
        "eval": "eval --images {user}/pictures --masks {user}/masks --num_workers 0 --threads 1 --weights",
        "export": "export --threads 1 --weights",
        "convert": "convert_weights --output out --weights",
        "average": "convert_weights --output out --weights {user}/weights --average",
        "train": f"{TRAIN} --image_root {{user}}/pictures --weights",
    }
    hostile = {name: content(data) for name, data in PICKLES.items()}
    for name, words in commands.items():
        for what, damage in (ANY | hostile | ARRAYS).items():
            bad = {"weights/model.pdparams": damage}
            entry = case(f"{words} {{bad}}/weights", "weights", base=("weights",), damage=bad, lines=2)
            yield f"{name} {what}", entry
    for what, damage in (ANY | {"header": content((1 << 40).to_bytes(8, "little") + b"{}")}).items():
        bad = {"safe/model.safetensors": damage}
        yield f"safetensors {what}", case(f"{commands['test']} {{bad}}/safe", "safe", base=("safe",), damage=bad)
    vgg = (
        f"train {TINY.replace('--perceptual_weight 0', '')} --image_root {{user}}/pictures --max_iters 1 --vgg_weights"
    )
    for what, damage in (ANY | hostile).items():
        for suffix in (".npz", ".pdparams"):
            path = f"vgg{suffix}"
            yield f"vgg {suffix} {what}", case(f"{vgg} {{bad}}/{path}", "--vgg_weights", damage={path: damage})


WRONG = (None, True, -1, 1.5, 10**400, "x", "\x1b[31m", "a" * 5000, [], [[1]], {}, {"a": {"b": {"c": 1}}}, ...)
META_KEYS = ("model", "options", "about", "versions", "iter", "position", "phase", "phase_start", "seed", "batch_size")
META_KEYS += ("ema_updates", "settings", "scaler", "validation", "files", "format", "inputs")
MAY_BE = {  # of ``WRONG``, what an entry may be all the same
    "options": [{}],
    "about": ["x", "\x1b[31m", "a" * 5000],
    "versions": [{}],
    "phase": ["x"],
    "settings": [{}, {"a": {"b": {"c": 1}}}],
    "scaler": [{}],
    "files": [{}],
    "format": ["x"],
    "inputs": [[]],
    "seed": [10**400],
}
NETWORKS = {
    "wide": {"base_channels": 1 << 20, "depth": 3},
    "wider": {"base_channels": 1 << 19, "depth": 10},
    "deep": {"base_channels": 4, "depth": 1 << 20},
    "none": {"base_channels": 0, "depth": 0},
    "below": {"base_channels": -4, "depth": -3},
    "NaN": {"base_channels": float("nan"), "depth": 3},
    "text": {"base_channels": "4", "depth": 3},
    "true": {"base_channels": True, "depth": True},
    "null": {"base_channels": None, "depth": None},
    "unknown": {"base_channels": 4, "depth": 3, "__class__": 1},
    "self": {"self": 1},
    "activation": {"base_channels": 4, "depth": 3, "output": "x"},
}


def metas() -> Iterator[tuple[str, Case]]:
    fill = "test --input {user}/pictures/0.png --mask {user}/mask.png --threads 1 --weights {bad}/weights"
    place = {"base": ("weights",)}
    for what, damage in (ANY | TEXTS).items():
        yield what, case(fill, "meta.json", damage={"weights/meta.json": damage}, **place)
    for key in META_KEYS:
        for wrong in WRONG:
            required = key in ("model", "options")
            if (wrong in MAY_BE.get(key, []) and not isinstance(wrong, bool)) or (wrong is ... and not required):
                continue
            damage = {"weights/meta.json": edited(**{key: wrong})}
            yield f"{key} {str(wrong)[:20]!r}", case(fill, "meta.json", damage=damage, **place)
    for what, network in NETWORKS.items():
        damage = {"weights/meta.json": edited(options=network)}
        yield f"network {what}", case(fill, "meta.json", "weights", damage=damage, **place)
        damage = {"weights/meta.json": edited(model="deepfill_v1", options=network)}
        yield f"deepfill {what}", case(fill, "meta.json", "weights", damage=damage, **place)
    about = {"weights/meta.json": edited(about="\x1b[31mred\n\n" * 100)}
    yield "about", case(fill, status=0, damage=about, writes=True, lines=0, **place)


def runs() -> Iterator[tuple[str, Case]]:
    place = {"base": ("run",)}
    at = "run/checkpoints/iter_2"
    resume = f"{RESUME} --resume {{bad}}/{at} --log_dir {{bad}}/new"
    for name in ("model.pdparams", "model.pdopt", "model_ema.pdparams", "meta.json"):
        for what, damage in ANY.items():
            bad = {f"{at}/{name}": damage}
            yield f"{name} {what}", case(resume, "iter_2", "--resume", damage=bad, **place)
    for name in ("model.pdparams", "model.pdopt", "model_ema.pdparams"):
        hostile = {key: content(PICKLES[key]) for key in ("forged dtype", "system", "deep lists", "numbers as names")}
        for what, damage in (ARRAYS | hostile).items():
            bad = {f"{at}/{name}": damage, f"{at}/meta.json": edited(files={})}
            yield f"{name} {what}", case(resume, "iter_2", damage=bad, **place)
    for key in ("iter", "position", "phase_start", "batch_size", "ema_updates"):
        for wrong in ("2", 1.5, -1, [2], 10**400, True, None):
            bad = {f"{at}/meta.json": edited(**{key: wrong})}
            yield f"{key} {str(wrong)[:20]!r}", case(resume, "meta.json", damage=bad, **place)
    for wrong in ({"../x": "0" * 64}, {"model.pdopt": 3}, {"": "0" * 64}, ["model.pdopt"], {"a\0b": "0" * 64}):
        bad = {f"{at}/meta.json": edited(files=wrong)}
        yield f"files {wrong}", case(resume, "meta.json", damage=bad, **place)
    auto = f"{RESUME} --resume auto --log_dir {{bad}}/run"
    for name, what in ((a, b) for a in (LOG, LOCK) for b in ("folder", "loop", "pipe")):
        yield f"auto {name} {what}", case(auto, name, damage={f"run/{name}": ANY[what]}, lines=2, writes=True, **place)
    for name in ("iter_²", "iter_99999999999999999999", "iter_-1", "iter_", "iter_7"):
        bad = {f"run/checkpoints/{name}": ANY["folder"]}
        yield f"auto {name}", case(auto, status=0, damage=bad, lines=9, writes=True, **place)


CURVES = {
    "other columns": text("a,b\n1,2\n"),
    "no rows": text("iter,loss\n"),
    "text": text("iter,loss\n1,x\n"),
    "NaN iteration": text("iter,loss\nnan,1\n"),
    "huge iteration": text("iter,loss\n1e99,1\n"),
    "digits": text(f"iter,loss\n{'9' * 5000},1\n"),
    "too many cells": text("iter,loss\n1,2,3\n"),
    "open quote": text('iter,loss\n"1,2\n' + "a" * 200_000),
    "huge numbers": text("iter,loss,valid,reader_cost\n1,1e308,1e308,1\n2,1e-308,-1e308,1\n"),
    "wide": text(f"iter,loss,{','.join('x' * i for i in range(1, 3000))}\n"),
    "mathematics": text("iter,loss,$\\frac{$,reader_cost\n1,2,3,4\n"),
    "undecodable name": content(b"iter,loss,\xfb,reader_cost\n1,2,3,4\n"),
}


def curves() -> Iterator[tuple[str, Case]]:
    for what, damage in (ANY | TEXTS | CURVES).items():
        bad = {"a/metrics.csv": damage}
        yield what, case("plot_metrics {bad}/a --output a.png", "metrics.csv", damage=bad)
    for output in ("curves", "curves.xyz", "curves.png/", "curves.", ".png"):
        yield f"output {output}", case(f"plot_metrics {{user}}/run --output {output}", "--output")


def exports() -> Iterator[tuple[str, Case]]:
    fill = "test --input {user}/pictures/0.png --threads 1 --weights {bad}/export"
    measure = "eval --images {user}/pictures --masks {user}/masks --num_workers 0 --threads 1 --weights {bad}/export"
    place = {"base": ("export",)}
    for name, words in (("test", fill), ("eval", measure)):
        for what, damage in ANY.items():
            for file in ("model.pdiparams", "meta.json", "model.GRAPH"):
                bad = {f"export/{file}": damage}
                yield f"{name} {file} {what}", case(words, "export", damage=bad, **place)
    for key in ("format", "inputs", "files", "model", "options", "versions"):
        for wrong in (None, 3, "x" if key != "format" else ["x"], [None], {"a": None}):
            bad = {"export/meta.json": edited(**{key: wrong})}
            yield f"{key} {wrong}", case(fill, "meta.json", damage=bad, **place)
    yield "newer", case(fill, "export", damage={"export/meta.json": edited(versions={"paddle": "99.0"})}, **place)


# What belongs to no family.


def odd() -> Iterator[tuple[str, Case]]:
    yield "two masks for one picture", case(f"{FILL} --mask {{user}}/pictures.txt", "--mask", "mask")
    yield "log_dir .", case(f"{TRAIN} --image_root {{user}}/pictures --log_dir .", status=0, writes=True, lines=9)
    yield "an only picture", case(f"{TRAIN} --image_root {{user}}/mask.png", "picture")
    yield "network too wide", case("train --image_root {user}/pictures --base_channels 2048 --depth 10", "memory")
    yield (
        "pictures too large",
        case(
            f"train --image_root {{user}}/pictures --image_size 8192 --batch_size 4096 {NETWORK} --val_count 2",
            "memory",
        ),
    )
    yield "deeper than sides", case("train --image_root {user}/pictures --image_size 32 --depth 11", "depth")
    yield "cyrillic", case(f"{TEST} --input {{user}}/папка --mask {{user}}/mask.png", status=0, writes=True, lines=0)
    yield (
        "long name",
        case(
            f"{TEST} --input {{bad}}/{'a' * 248}.png --mask {{user}}/mask.png",
            status=0,
            writes=True,
            lines=0,
            damage={"a" * 248 + ".png": _copy_of_picture},
        ),
    )
    yield "output like a picture", case(f"{FILL} --mask {{user}}/mask.png --output x.jpg", "--output")
    yield "no arguments", case("generate_masks", "--output")
    yield "a thesis in place of pictures", case(f"{TEST} --input {{user}}/thesis", "--input")
    yield "resume from nothing", case(f"{RESUME} --phase finetune --resume auto --log_dir {{bad}}/no", "--phase")
    yield "sort of a thesis", case("plot_metrics {user}/thesis", "metrics.csv")
    for what, damage in (ANY | TEXTS).items():
        words = f"{EVAL} --images {{user}}/pictures --masks {{user}}/masks --output {{bad}}/out"
        if what not in ("folder", "loop"):
            yield (
                f"partial {what}",
                case(words, status=0, writes=True, lines=2, damage={"out/samples.partial.jsonl": damage}),
            )


def _copy_of_picture(path, _) -> None:
    import numpy as np

    from tests.hostile.damages import png

    rows = b"".join(b"\0" + np.random.default_rng(i).bytes(3 * 48) for i in range(40))
    path.write_bytes(png(48, 40, rows))
