"""What both parties of a licence keep: the receipt that anyone can check offline, and the scope as ODRL."""

from typing import Any

from consent import licence_proofs, odrl, scopes
from consent.errors import LicenceInvalid
from consent.models import Licence
from foundation import keys
from foundation.audit import receipts


def issue(licence: Licence) -> dict[str, Any]:
    """The receipt (`licence_proofs.verify` checks it). Outside a transaction only: the log may have to sign for it.

    Raises LicenceInvalid for a licence from before licences were signed.
    """
    if not licence.statement:
        raise LicenceInvalid("This licence was granted before licences were signed.")
    return {
        "kind": licence_proofs.KIND,
        "statement": licence.statement,
        "signature": licence.signature,
        "receipt": receipts.receipt(licence.leaf_index),
        "public_key": keys.public_key("log").hex(),
    }


def policy(licence: Licence) -> dict[str, Any]:
    """The scope as an ODRL agreement, as it stands now: the term may have become shorter by a notice."""
    return odrl.policy(
        scopes.parse(licence.scope),
        uid=f"urn:uuid:{licence.id}",
        assigner=f"urn:uuid:{licence.consent.person_id}",
        assignee=f"urn:uuid:{licence.licensee_id}",
        target=f"urn:uuid:{licence.consent_id}",
        characters=licence.characters_cap,
        until=licence.valid_until,
    )
