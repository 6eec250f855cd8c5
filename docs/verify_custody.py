"""Verifies a custody export of LifecycleZero (`lz audit export --out FILE`) with nothing but Python's library.

usage: python3 verify_custody.py FILE [PUBLIC_KEY_X]

Written from docs/containment.md alone, so that it shares no mistake with the code that made the export. With the
base64url `x` of the control key, and the package `cryptography`, the signed checkpoint is checked too.
Exit code 0: good. 1: not good, the first bad record is named. 2: this is no export.
"""
import base64, hashlib, json, sys


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def first_fault(lines):
    manifest, records = json.loads(lines[0]), lines[1:]
    head, assets, previous = manifest.get("head"), {}, ""
    for number, line in enumerate(records, 1):
        try:
            record = json.loads(line)
            claimed = record.pop("hash")
            name = f"{record.get('assetId', 'tenant')} {record['at']}"
            hashed = hashlib.sha256(canonical(record).encode()).hexdigest()
            if hashed != claimed or canonical({**record, "hash": claimed}) != line:
                return name, "was edited: its hash does not match"
            if record["tenantNumber"] == number - 1:
                return name, f"is a fork: there is another record {number - 1} of the tenant"
            if record["tenantNumber"] != number or record["tenantPreviousHash"] != previous:
                return name, f"does not follow record {number - 1} of the tenant"
            if head and record["tenantId"] != head["tenantId"]:
                return name, "is of another tenant than the head"
            before_hash, before_number = assets.get(record.get("assetId"), ("", 0))
            if record["previousHash"] != before_hash or record["number"] != before_number + 1:
                return name, f"does not follow record {before_number} of its asset"
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return f"#{number}", f"is no custody record: {error}"
        assets[record.get("assetId")], previous = (claimed, record["number"]), claimed
    end = (head["hash"], head["count"]) if head else ("", 0)
    if end != (previous, len(records)) or manifest["records"] != len(records):
        return "head", f"the head names {end[1]} records, the log holds {len(records)}"
    return None


def is_signed(head, x):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    decode = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    signed, _, signature = head["checkpoint"].rpartition(".")
    try:
        Ed25519PublicKey.from_public_bytes(decode(x)).verify(decode(signature), signed.encode())
    except Exception:
        return False
    claims = json.loads(decode(signed.split(".")[1]))
    return all(claims[ours] == head[theirs] for ours, theirs in (("tenant", "tenantId"), ("hash", "hash"), ("count", "count")))


def main(path, x=None):
    try:
        lines = open(path, encoding="utf-8", newline="\n").read().removesuffix("\n").split("\n")
        manifest = json.loads(lines[0])
        assert manifest["type"] == "CustodyManifest" and manifest["v"] == 1
    except Exception:
        return print(f"{path} is not a custody export") or 2
    fault = first_fault(lines)
    if not fault and x and manifest.get("head") and not is_signed(manifest["head"], x):
        fault = ("head", "its checkpoint is not signed by this key for this very log")
    print("not ok: %s: %s" % fault if fault else f"ok: {len(lines) - 1} custody records, unbroken")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]) if len(sys.argv) > 1 else 2)
