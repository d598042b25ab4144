"""The keys that a hub signs with by itself. One that can't be read takes no other with it, and is named if it lacks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from edge_runtime.contracts.errors import SigningError
from edge_runtime.releases.key_files import SECRET_SUFFIX, load_signer
from edge_runtime.releases.sign import sign_draft


class Online:
    """Keys, of which whichever the root asks for sign. `unreadable`: what is wrong with others that lie beside them."""

    def __init__(self, signers: Iterable[CryptoSigner], unreadable: Iterable[str] = ()) -> None:
        self._signers = {signer.public_key.keyid: signer for signer in signers}
        self._unreadable = tuple(unreadable)

    @classmethod
    def of(cls, folder: Path) -> Online:
        """Every key in `folder`."""
        found = [_load(path) for path in sorted(folder.glob(f"*{SECRET_SUFFIX}"))]
        keys = [key for key in found if not isinstance(key, str)]
        return cls(keys, [words for words in found if isinstance(words, str)])

    def require(self, root: Root, role: str) -> None:
        """Whether `sign` would do for `role`.

        Raises:
            SigningError: too few of its keys are here.
        """
        asked = root.get_delegated_role(role)
        here = sum(keyid in self._signers for keyid in asked.keyids)
        if here < asked.threshold:
            why = "".join(f"; {words}" for words in self._unreadable)
            raise SigningError(role, f"the hub holds {here} of the {asked.threshold} keys that have to sign it{why}")

    def sign(self, root: Root, role: str, metadata: Metadata[Any]) -> None:
        """Sign with every key that the root names for `role` and that is here.

        Raises:
            SigningError: too few of them are here.
        """
        self.require(root, role)
        for keyid in root.get_delegated_role(role).keyids:
            if keyid in self._signers:
                sign_draft(metadata, self._signers[keyid])


def _load(path: Path) -> CryptoSigner | str:
    """The key in a file, or what is wrong with it."""
    try:
        return load_signer(path)
    except SigningError as error:
        return str(error)
