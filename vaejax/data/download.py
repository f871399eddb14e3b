"""The published files of a data set, fetched and verified."""

import gzip
import hashlib
import http.client
import urllib.error
import urllib.request
import zlib

from vaejax.errors import UserError

_TIMEOUT = 20.0  # seconds without a byte: many clusters drop packets to the outside in silence


def fetch(url: str, checksum: str) -> bytes:
    """The file at `url`, uncompressed; `checksum` is the MD5 or SHA-256 of that content.

    Nothing is written, so that a wrong answer leaves nothing behind and the next try asks again.

    Raises:
      UserError: no answer, an answer other than the file, or a file with another checksum.
    """
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            content = response.read()
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if type(error) is urllib.error.URLError else error
        raise UserError(
            f"could not fetch {url}: {reason}; check the network, or point TFDS_DATA_DIR at a "
            "folder where TensorFlow Datasets has prepared it as array_record"
        ) from error
    try:
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        algorithm = "md5" if len(checksum) == 32 else "sha256"
        actual = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    except (OSError, EOFError, zlib.error):
        actual = "a damaged gzip file"
    if actual != checksum:
        raise UserError(
            f"{url} has the wrong checksum: expected {checksum}, got {actual}; it was not kept: "
            "try again, or check for a proxy that answers in the server's place"
        )
    return content
