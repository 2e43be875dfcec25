"""Signs the shipped pack anew after it was changed: ``python -m safety.policy.release``.

A fresh key pair is made for each release of the pack. The public key takes the place of ``safety/packs/release.pub``,
the private key signs once and is forgotten: nobody has to keep it, and pack and key are reviewed together, like code.
"""

import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from safety.policy import CORE, RELEASE_KEY, release_key, signing
from safety.policy import pack as packs


def main() -> None:
    """Signs, then loads what was signed as a deployment will. Raises PackInvalid and changes nothing."""
    source = packs.read(CORE)
    packs.compile_pack(source)
    key = Ed25519PrivateKey.generate()
    signing.write(CORE, signing.sign(source.canonical(), key.private_bytes_raw()))
    RELEASE_KEY.write_text(key.public_key().public_bytes_raw().hex() + "\n", encoding="ascii")
    made = packs.load(CORE, trusted={"release": release_key()})
    sys.stdout.write(f"{made.label} {made.sha256}\n")


if __name__ == "__main__":
    main()
