"""The public mirrors that Keras and torchvision download MNIST from."""

from __future__ import annotations

from dataclasses import dataclass

from epochmark.datasets.containers import gunzip, read_zip
from epochmark.datasets.download import PATIENCE, Deadlines, download
from epochmark.datasets.mnist import Contents, verify_contents
from epochmark.datasets.progress import Progress
from epochmark.workloads._data.mnist_files import IDX_FILES

MAX_DOWNLOAD_BYTES = 20_000_000
"""mnist.npz has 11.5 MB, the largest gzip file 9.9 MB."""


@dataclass(frozen=True)
class NpzMirror:
    """One file, ``mnist.npz`` as ``keras.datasets.mnist`` loads it."""

    url: str
    patience: Deadlines = PATIENCE

    @property
    def title(self) -> str:
        return self.url

    def read(self, progress: Progress) -> Contents:
        contents = read_zip(download(self.url, MAX_DOWNLOAD_BYTES, progress, self.patience))
        verify_contents(contents)
        return contents


@dataclass(frozen=True)
class GzipMirror:
    """Four gzip files below one address that ends with a slash, as torchvision loads them."""

    url: str
    patience: Deadlines = PATIENCE

    @property
    def title(self) -> str:
        return self.url

    def read(self, progress: Progress) -> Contents:
        contents = {}
        for file in IDX_FILES:
            packed = download(
                f"{self.url}{file.name}.gz", MAX_DOWNLOAD_BYTES, progress, self.patience
            )
            contents[file.name] = gunzip(packed, file)
        verify_contents(contents)
        return contents


MIRRORS: tuple[NpzMirror | GzipMirror, ...] = (
    NpzMirror("https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"),
    GzipMirror("https://ossci-datasets.s3.amazonaws.com/mnist/"),
    GzipMirror("http://yann.lecun.com/exdb/mnist/"),
)
