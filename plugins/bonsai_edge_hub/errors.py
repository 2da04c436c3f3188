"""What can go wrong when a model is fetched or checked."""

from __future__ import annotations

from bonsai_edge.errors import BonsaiError


class UnknownModelError(BonsaiError):
    """A name that is neither in the catalogue nor `org/repo/file.gguf`."""

    code = "unknown_model"


class OfflineError(BonsaiError):
    """The model is not on this machine, and the network must not be used."""

    code = "offline"


class DownloadError(BonsaiError):
    """The hub refused, or the connection broke; what has arrived is kept."""

    code = "download_failed"


class DownloadInProgressError(BonsaiError):
    """Another process is fetching the same file."""

    code = "download_in_progress"


class InsufficientDiskError(BonsaiError):
    """The file is larger than the free space of the disk."""

    code = "insufficient_disk"


class DigestMismatchError(BonsaiError):
    """The content is not what was published."""

    code = "digest_mismatch"


class NoKnownAnswersError(BonsaiError):
    """No answers are published for a model of this shape."""

    code = "no_known_answers"
