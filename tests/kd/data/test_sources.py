import gzip
import hashlib
import http.server
import struct
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from kd.data import folders as images
from kd.data import idx, named
from kd.data.dataset import DataSet, DataSource, load
from kd.data.raw import fingerprint
from space.errors import InputError

FASHION = named.SYSTEM / "fashion-mnist"
needs_fashion = pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")


def refused(match: str, action: Callable[[], object]) -> None:
    with pytest.raises(InputError, match=match) as caught:
        action()
    assert "\n" not in str(caught.value)


# --- IDX files


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    content = header + values.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def visible(folder: Path) -> list[str]:
    """Names of what a folder holds, locks aside."""
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def write_folder(folder: Path, data: DataSet, prefix: str = "", suffix: str = "", test: str = "t10k") -> None:
    """Real images in the files of MNIST and its kin."""
    for part, split in (("train", data.train), (test, data.test)):
        write_idx(folder / f"{prefix}{part}-images-idx3-ubyte{suffix}", split.images[:, 0].numpy())
        write_idx(folder / f"{prefix}{part}-labels-idx1-ubyte{suffix}", split.labels.numpy().astype(np.uint8))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("test", ["t10k", "test"])
def test_a_folder_of_idx_files(tmp_path: Path, small_data: DataSet, suffix: str, test: str) -> None:
    write_folder(tmp_path / "mine", small_data, suffix=suffix, test=test)
    data = load(DataSource(name=str(tmp_path / "mine"), validation=100))
    assert (data.name, data.origin, data.classes) == ("mine", str(tmp_path / "mine"), 10)
    assert torch.equal(data.test.images, small_data.test.images)
    assert torch.equal(data.test.labels, small_data.test.labels)


def test_how_files_are_packed_does_not_matter(tmp_path: Path, small_data: DataSet) -> None:
    write_folder(tmp_path / "plain", small_data)
    write_folder(tmp_path / "packed", small_data, suffix=".gz")
    one, two = (load(DataSource(name=str(tmp_path / name), validation=100)) for name in ("plain", "packed"))
    assert one.digest == two.digest
    checksum = idx.read(tmp_path / "plain").checksum
    load(replace(one.source, sha256=checksum))
    refused("checksum", lambda: load(replace(one.source, sha256="0" * 64)))


@pytest.mark.parametrize(
    ("kind", "name"), [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")], ids=str
)
def test_idx_files_of_every_type(tmp_path: Path, kind: int, name: str) -> None:
    expected = np.arange(-6, 6).astype(name).reshape(3, 2, 2)
    path = tmp_path / "values"
    path.write_bytes(bytes([0, 0, kind, 3]) + struct.pack(">3I", 3, 2, 2) + expected.tobytes())
    values = idx.read_file(path)
    np.testing.assert_array_equal(values, expected)
    assert values.dtype.isnative


def test_damaged_idx_files_are_refused(tmp_path: Path, small_data: DataSet) -> None:
    write_folder(tmp_path, small_data)
    write_folder(tmp_path / "packed", small_data, suffix=".gz")
    path, packed = tmp_path / "train-images-idx3-ubyte", tmp_path / "packed" / "train-images-idx3-ubyte.gz"
    content = path.read_bytes()
    for damaged, match in (
        (content[:-1], "bytes of values, its header says"),
        (content + b"0", "bytes of values, its header says"),
        (content[:7], "not an IDX file"),
        (b"", "not an IDX file"),
        (b"hello", "not an IDX file"),
        (b"\0\0\x07" + content[3:], "not an IDX file"),
    ):
        path.write_bytes(damaged)
        refused(match, lambda: load(DataSource(name=str(tmp_path))))
    whole = packed.read_bytes()
    for damaged in (whole[:-100], whole[:20], b"hello", whole[:1000] + b"\0" * 50 + whole[1050:]):
        packed.write_bytes(damaged)
        refused("not a whole gzip file", lambda: load(DataSource(name=str(packed.parent))))
    path.unlink()
    refused("lacks train-images-idx3-ubyte", lambda: load(DataSource(name=str(tmp_path))))


# --- names


@needs_fashion
def test_fashion_mnist_from_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WUNDERKIND_DATA", str(tmp_path))
    data = load(DataSource(name="fashion-mnist"))
    assert (data.name, data.shape, data.classes) == ("fashion-mnist", (1, 28, 28), 10)
    assert data.origin == str(FASHION)
    assert data.names[0] == "T-shirt/top"
    assert [len(split.labels) for split in (data.train, data.validation, data.test)] == [55_000, 5_000, 10_000]
    assert (*data.mean, *data.std) == pytest.approx((0.2860, 0.3530), abs=5e-4)
    assert data.digest == "e8ec6ec432e02a3f"
    assert data.test.labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    # trousers are upright: two legs below, one waist above
    trouser = data.test.images[data.test.labels == 1].float().mean(0)[0]
    assert trouser[4:8, 13:15].mean() > 150 > 60 > trouser[20:26, 13:15].mean()


@needs_fashion
def test_other_values_under_a_known_name_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for path in FASHION.iterdir():
        (folder / path.name.removesuffix(".gz")).write_bytes(gzip.decompress(path.read_bytes()))
    assert named.read("fashion-mnist", tmp_path).origin == str(folder)
    images_file = folder / "t10k-images-idx3-ubyte"
    content = bytearray(images_file.read_bytes())
    content[5_000] ^= 1
    images_file.write_bytes(content)
    refused("checksum of fashion-mnist", lambda: named.read("fashion-mnist", tmp_path))


def test_emnist_is_upright_and_counts_from_zero(tmp_path: Path, small_data: DataSet) -> None:
    def transposed(labels: int) -> DataSet:
        def turn(split: object) -> object:
            return replace(split, images=split.images.transpose(2, 3).contiguous(), labels=split.labels + labels)  # type: ignore

        return replace(small_data, train=turn(small_data.train), test=turn(small_data.test))  # type: ignore[arg-type]

    for split, offset in (("letters", 1), ("digits", 0)):
        write_folder(tmp_path / "EMNIST" / "raw", transposed(offset), prefix=f"emnist-{split}-", test="test")
        raw = named.read(f"emnist-{split}", tmp_path)
        np.testing.assert_array_equal(raw.arrays["x_train"], small_data.train.images[:, 0].numpy())
        np.testing.assert_array_equal(raw.arrays["y_test"], small_data.test.labels.numpy())
        assert raw.names[:2] == (("a", "b") if split == "letters" else ("0", "1"))
    assert len(named.read("emnist-letters", tmp_path).names) == 26


def test_a_known_data_set_that_lacks_a_class_is_refused(
    tmp_path: Path, small_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "emnist-balanced", small_data, prefix="emnist-balanced-", test="test")
    monkeypatch.setenv("WUNDERKIND_DATA", str(tmp_path))
    refused("must be 0..46, each at least once", lambda: load(DataSource(name="emnist-balanced", validation=100)))


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WUNDERKIND_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert named.cache_folder() == Path.home() / ".cache" / "wunderkind"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert named.cache_folder() == Path("/caches/wunderkind")
    monkeypatch.setenv("WUNDERKIND_DATA", "/data")
    assert named.cache_folder() == Path("/data")


def use_proxy(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every request of this process there."""
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, address)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr(urllib.request, "_opener", None)  # which remembers the proxies of its first use


@pytest.mark.parametrize("name", named.NAMES)
def test_without_a_network_the_way_out_is_told_and_nothing_is_left(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_proxy("http://127.0.0.1:9", monkeypatch)  # where nobody listens
    cache = tmp_path / "cache"
    refused(f"cannot download {name} .*: put .* into {cache}", lambda: named.read(name, cache, tmp_path / "none"))
    assert visible(cache) == []
    if name == "fashion-mnist":
        refused("Debian package dataset-fashion-mnist", lambda: named.read(name, cache, tmp_path / "none"))


@contextmanager
def served(files: dict[str, bytes]) -> Iterator[str]:
    """A proxy that answers for every host with these files, by their last name."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path.rpartition("/")[2])
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content or b"")

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def as_published(path: Path) -> bytes:
    """The file as its authors packed it: Debian's differs in that its header has no name and another time."""
    content, name = path.read_bytes(), path.name.removesuffix(".gz")
    time = 1504176627 if name.startswith("t10k") else 1504176606
    return b"\x1f\x8b\x08\x08" + struct.pack("<I", time) + content[8:10] + name.encode() + b"\0" + content[10:]


@needs_fashion
def test_a_download_is_checked_moved_and_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {path.name: as_published(path) for path in FASHION.iterdir()}
    cache, none = tmp_path / "cache", tmp_path / "none"
    with served(files | {"t10k-labels-idx1-ubyte.gz": files["t10k-labels-idx1-ubyte.gz"][:-9]}) as proxy:
        use_proxy(proxy, monkeypatch)
        refused("cannot download fashion-mnist .*corrupted", lambda: named.read("fashion-mnist", cache, none))
    assert visible(cache) == []
    with served(files) as proxy:
        use_proxy(proxy, monkeypatch)
        raw = named.read("fashion-mnist", cache, none)
    assert raw.checksum == named.read("fashion-mnist", none).checksum
    assert visible(cache) == ["FashionMNIST"]
    again = named.read("fashion-mnist", cache, none)
    assert (again.origin, again.checksum) == (str(cache / "FashionMNIST" / "raw"), raw.checksum)


def usps_line(image: NDArray[np.uint8], label: int) -> str:
    pixels = image.reshape(-1) / 127.5 - 1
    return f"{label + 1} " + " ".join(f"{place}:{value:.4f}" for place, value in enumerate(pixels, 1)) + " \n"


def test_torchvision_reads_the_other_formats_after_their_checksums(
    tmp_path: Path, small_data: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bz2

    from torchvision import datasets

    shrunk = torch.nn.functional.interpolate(small_data.test.images.float(), 16).to(torch.uint8)[:, 0].numpy()
    labels = small_data.test.labels.tolist()
    lines = "".join(usps_line(image, label) for image, label in zip(shrunk, labels, strict=True))
    for name in ("usps.bz2", "usps.t.bz2"):
        (tmp_path / name).write_bytes(bz2.compress(lines.encode()))
    refused("checksum of .*usps.bz2", lambda: named.read("usps", tmp_path))
    # the true files cannot be had without a network; these are real digits in the same format
    md5 = hashlib.md5((tmp_path / "usps.bz2").read_bytes()).hexdigest()
    lists = {part: [url, name, md5] for part, (url, name, _) in datasets.USPS.split_list.items()}
    monkeypatch.setattr(datasets.USPS, "split_list", lists)
    monkeypatch.setenv("WUNDERKIND_DATA", str(tmp_path))
    data = load(DataSource(name="usps", validation=50))
    assert data.shape == (1, 16, 16)
    assert data.test.labels.tolist() == labels
    assert (data.test.images[:, 0].int() - torch.from_numpy(shrunk).int()).abs().max() <= 1


def test_cifar_comes_with_channels_first_and_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_data: DataSet
) -> None:
    import pickle

    from torchvision import datasets

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    grey = torch.nn.functional.interpolate(small_data.test.images[:200].float(), 32).to(torch.uint8)
    colour = torch.cat([grey, grey // 2, 255 - grey], dim=1)
    batch = {"data": colour.flatten(1).numpy(), "labels": small_data.test.labels[:200].tolist()}

    def entry(name: str, content: object) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    names = [f"class {c}" for c in range(10)]
    train = [entry(name, batch) for name, _ in datasets.CIFAR10.train_list]
    test = [entry(name, batch) for name, _ in datasets.CIFAR10.test_list]
    refused("checksum of .*data_batch_1|cannot download", lambda: named.read("cifar10", tmp_path))
    meta = entry("batches.meta", {"label_names": names})
    monkeypatch.setattr(datasets.CIFAR10, "train_list", train)
    monkeypatch.setattr(datasets.CIFAR10, "test_list", test)
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": meta[0], "key": "label_names", "md5": meta[1]})
    monkeypatch.setenv("WUNDERKIND_DATA", str(tmp_path))
    data = load(DataSource(name="cifar10", validation=100))
    assert (data.shape, data.names[3], len(data.train.labels)) == ((3, 32, 32), "class 3", 900)
    assert torch.equal(data.test.images, colour)
    assert len(data.mean) == 3


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_data: DataSet) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    from torchvision import datasets

    grey = torch.nn.functional.interpolate(small_data.test.images[:200].float(), 32).to(torch.uint8)
    colour = torch.cat([grey, grey // 2, 255 - grey], dim=1)
    labels = small_data.test.labels[:200].numpy()
    lists = {}
    for part in ("train", "test"):
        name = f"{part}_32x32.mat"
        content = {"X": colour.permute(2, 3, 1, 0).numpy(), "y": np.where(labels == 0, 10, labels)[:, None]}
        savemat(tmp_path / name, content)
        lists[part] = ["", name, hashlib.md5((tmp_path / name).read_bytes()).hexdigest()]
    monkeypatch.setattr(datasets.SVHN, "split_list", lists)
    monkeypatch.setenv("WUNDERKIND_DATA", str(tmp_path))
    data = load(DataSource(name="svhn", validation=50))
    assert torch.equal(data.test.images, colour)
    assert data.test.labels.tolist() == labels.tolist()


# --- folders of images


def write_images(root: Path, data: DataSet, count: int, start: int = 0, mode: str = "L", suffix: str = ".png") -> None:
    """Class folders of real digits."""
    for c in range(data.classes):
        (root / f"digit {c}").mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(data.test.images[data.test.labels == c][start : start + count, 0].numpy()):
            Image.fromarray(image).convert(mode).save(root / f"digit {c}" / f"{index:03d}{suffix}")


def test_class_folders_with_a_test_split(tmp_path: Path, small_data: DataSet) -> None:
    write_images(tmp_path / "train", small_data, 12)
    write_images(tmp_path / "val", small_data, 2, start=12)
    write_images(tmp_path / "test", small_data, 4, start=14)
    data = load(DataSource(name=str(tmp_path)))
    assert (data.shape, data.classes, data.names[1]) == ((1, 28, 28), 10, "digit 1")
    assert [len(split.labels) for split in (data.train, data.validation, data.test)] == [120, 20, 40]
    sevens = small_data.test.images[small_data.test.labels == 7]
    assert torch.equal(data.test.images[data.test.labels == 7], sevens[14:18])


def test_class_folders_without_a_split_get_a_stratified_one_by_seed(tmp_path: Path, small_data: DataSet) -> None:
    write_images(tmp_path, small_data, 15)
    source = DataSource(name=str(tmp_path), validation=30)
    data = load(source)
    assert torch.bincount(data.test.labels).tolist() == [3] * 10
    assert torch.bincount(data.validation.labels).tolist() == [3] * 10
    splits = (data.train, data.validation, data.test)
    assert len({bytes(image.numpy()) for split in splits for image in split.images}) == 150
    assert load(source).digest == data.digest
    others = {load(replace(source, seed=1)).digest, load(replace(source, test=0.4)).digest}
    assert len(others | {data.digest}) == 3


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("1", 1), ("RGB", 3), ("RGBA", 3), ("P", 3)])
def test_pictures_are_grey_only_if_all_are(tmp_path: Path, small_data: DataSet, mode: str, channels: int) -> None:
    write_images(tmp_path / "train", small_data, 4)
    write_images(tmp_path / "test", small_data, 4, mode=mode)
    assert load(DataSource(name=str(tmp_path), validation=10)).shape == (channels, 28, 28)


def test_pictures_are_resized_if_asked(tmp_path: Path, small_data: DataSet) -> None:
    write_images(tmp_path / "train", small_data, 4, suffix=".jpg")
    write_images(tmp_path / "test", small_data, 4)
    odd = tmp_path / "test" / "digit 3" / "odd.png"
    Image.new("L", (30, 20)).save(odd)
    source = DataSource(name=str(tmp_path), validation=10)
    refused(f"{odd} is 30×20, .* 28×28: make them equal, or set data.size", lambda: load(source))
    assert load(replace(source, size=(14, 21))).shape == (1, 14, 21)


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path, small_data: DataSet) -> None:
    write_images(tmp_path / "train", small_data, 4)
    write_images(tmp_path / "test", small_data, 4)
    path = tmp_path / "train" / "digit 3" / "001.png"
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[:100], whole[:30], whole[:45] + b"\xff" * 20 + whole[65:]):
        path.write_bytes(content)
        refused(f"{path} is not a readable image", lambda: load(DataSource(name=str(tmp_path), validation=10)))


def test_pictures_of_16_bits_are_refused(tmp_path: Path, small_data: DataSet) -> None:
    write_images(tmp_path / "train", small_data, 4)
    write_images(tmp_path / "test", small_data, 4)
    path = tmp_path / "train" / "digit 3" / "001.png"
    Image.fromarray(np.arange(784, dtype=np.uint16).reshape(28, 28) * 80).save(path)
    refused(f"{path} has more than 8 bits a pixel", lambda: load(DataSource(name=str(tmp_path), validation=10)))


def test_wrong_class_folders_are_refused(tmp_path: Path, small_data: DataSet) -> None:
    def read() -> object:
        return images.read(tmp_path, None)

    refused("0 class folders", read)
    write_images(tmp_path / "train", small_data, 2)
    write_images(tmp_path / "test", small_data, 2)
    (tmp_path / "test" / "digit x").mkdir()
    refused("holds class digit x", read)
    (tmp_path / "train" / "digit x").mkdir()
    refused("digit x .* holds no images", read)
    (tmp_path / "train" / "digit x").rmdir()
    (tmp_path / "test" / "digit x").rmdir()
    (tmp_path / "test" / ".hidden").mkdir()
    read()
    (tmp_path / "val" / "digit 1").mkdir(parents=True)
    refused("the val split of .* holds no images that can be read .*: add some, or remove it", read)


def test_transparent_pictures_lie_on_white(tmp_path: Path, small_data: DataSet) -> None:
    for part in ("train", "test"):
        write_images(tmp_path / part, small_data, 4)
        for path in (tmp_path / part).rglob("*.png"):
            drawn = Image.new("LA", (28, 28))
            drawn.putalpha(Image.open(path))
            drawn.save(path)
    found = images.read(tmp_path, None).arrays["x_test"]
    digits = [small_data.test.images[small_data.test.labels == c][:4, 0] for c in range(10)]
    expected = 255 - torch.cat(digits).numpy()
    assert found.shape == (40, 28, 28, 3)
    assert all(np.array_equal(found[..., channel], expected) for channel in range(3))


def test_the_fingerprint_is_of_names_types_shapes_and_values() -> None:
    x = np.arange(6, dtype=np.uint8)
    prints = [
        fingerprint(arrays)
        for arrays in ({"x": x}, {"y": x}, {"x": x.astype(np.int8)}, {"x": x.reshape(2, 3)}, {"x": x[::-1]})
    ]
    assert len(set(prints)) == 5
    assert fingerprint({"x": x, "y": x}) == fingerprint({"y": x, "x": x})
