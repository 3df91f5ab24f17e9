"""Fashion-MNIST for the studies of tables, curve and calibrate: from Debian's package dataset-fashion-mnist,
padded with black from 28 to 32 pixels as the images of jobs/data are. Needs nothing beside Python's standard
library.
"""
import gzip
import os
import pathlib
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
TEST, TRAINING = "t10k-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz"
SIDE, PADDING, HEADER = 28, 2, 16
# of the training images, which the built-in prior was not trained on: settings are chosen on these
TUNING_FIRST, TUNING_IMAGES = 59744, 256


def add_arguments(parser, images):
    """Which images a study is of, and where its files go."""
    parser.add_argument("--images", type=int, default=images)
    parser.add_argument("--first", type=int, default=16,
                        help="the first 16 test images are those of jobs/data")
    parser.add_argument("--tuning", action="store_true",
                        help="of the images that settings are chosen on, in place of test images")
    parser.add_argument("--data", type=pathlib.Path, default=DATA,
                        help="a folder with Fashion-MNIST's gzipped IDX files")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/dwgf")


def parse_arguments(parser):
    """The options, with `more`: the words behind --, which go to every restore."""
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:at])
    options.more = words[at + 1:]
    options.program = options.program.resolve()  # commands are started in the project's root
    return options


def images_of(options, folder):
    """Their array in `folder`, and what names them in the names of results files."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{'tuning-' if options.tuning else ''}{options.first}-{options.images}"
    path = folder / f"images-{name}.npy"
    if options.tuning:
        write_images(options.data / TRAINING, TUNING_FIRST + options.first, options.images, path)
    else:
        write_images(options.data / TEST, options.first, options.images, path)
    return path, name


def tuning_images(options, folder):
    """The array of all the tuning images."""
    path = folder / "tuning.npy"
    write_images(options.data / TRAINING, TUNING_FIRST, TUNING_IMAGES, path)
    return path


def write_images(source, first, count, path):
    """Images first ... first + count - 1 of a gzipped IDX file as .npy, uint8 [count, 1, 32, 32]; nothing
    where `path` is there already."""
    if path.exists():
        return
    content = gzip.decompress(source.read_bytes())
    blank = bytes(SIDE + 2 * PADDING)
    images = []
    for index in range(first, first + count):
        pixels = content[HEADER + index * SIDE * SIDE:HEADER + (index + 1) * SIDE * SIDE]
        rows = [bytes(PADDING) + pixels[y * SIDE:(y + 1) * SIDE] + bytes(PADDING) for y in range(SIDE)]
        images.append(b"".join([blank] * PADDING + rows + [blank] * PADDING))
    size = SIDE + 2 * PADDING
    header = str({"descr": "|u1", "fortran_order": False, "shape": (count, 1, size, size)}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"".join(images))


def run(*command):
    """Standard output of a command that is started in the project's root; ends the study where it fails.
    Failed images (3) are no failure."""
    environment = dict(os.environ)
    if os.getuid() == 0:
        environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    done = subprocess.run([str(word) for word in command], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                          env=environment)
    if done.returncode not in (0, 3):
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: this ended with {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout
