"""Verifies a custody export of LifecycleZero offline: python3 verify_custody.py FILE [X_OF_THE_CONTROL_KEY]
It was written only from docs/containment.md and docs/wire.md, so it shares no fault with the code that made the export.
With a key (its base64url `x`) and the package `cryptography`, it also verifies the checkpoint and the reports of hosts.
Otherwise it prints that it did not. Exit code 0: good. 1: bad, with the first bad record. 2: not an export."""
import base64, hashlib, json, sys
def no_number(name): raise ValueError(f"{name} is not JSON")
def number(text): return int(float(text)) if float(text).is_integer() else float(text)
def load(text): return json.loads(text, parse_constant=no_number, parse_float=number)
def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

def first_fault(lines, manifest, head, x):
    previous, chains = "", {}
    for number, line in enumerate(lines, 1):
        name = f"#{number}"
        try:
            record = load(line)
            chain, at = record.get("assetId"), record["at"]
            if is_text(at): name = f"{is_text(chain) and chain or 'tenant'} {at}"
            unhashed = canonical({member: record[member] for member in record if member != "hash"}).encode()
            link = chains.get(chain, ("", 0))
            if {type(record["number"]), type(record["tenantNumber"])} != {int}: raise ValueError("its number is not an integer")
            for is_good, fault in (
                (canonical(record) == line and hashlib.sha256(unhashed).hexdigest() == record["hash"], "was edited: its hash does not match"),
                (record["tenantNumber"] != number - 1, f"is a fork: the tenant has another record with number {number - 1}"),
                (record["tenantNumber"] == number, f"is not record {number} of the tenant: one is missing or moved"),
                (record["tenantPreviousHash"] == previous, f"does not follow record {number - 1} of the tenant"),
                (not head or record["tenantId"] == head["tenantId"], "belongs to a different tenant than the head"),
                ((record["previousHash"], record["number"] - 1) == link, f"does not follow record {link[1]} of its asset"),
                (not x or "report" not in record or proves_itself(record), "contains a report that is not signed by the device key that it names")):
                if not is_good: return name, fault
            previous, chains[chain] = record["hash"], (record["hash"], record["number"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return name, f"is not a custody record: {error}"
    end = (head["hash"], head["count"]) if head else ("", 0)
    if end != (previous, len(lines)): return "head", f"names {end[1]} records, the log has {len(lines)}"
    own = chains.get(None, ("", 0))
    proven = {"at": load(lines[-1])["at"] if lines else None, "ownHash": own[0], "ownCount": own[1]}
    for member in proven:
        if head and head.get(member, proven[member]) != proven[member]: return "head", f"names {head[member]} as its {member}, the log has {proven[member]}"
    if manifest["records"] != len(lines): return "manifest", f"names {manifest['records']} records, the log has {len(lines)}"

def bytes_of(text):
    value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(value).decode().rstrip("=") != text: raise ValueError("it is not canonical base64url")
    return value

def speaks_of(head):
    try: claims = json.loads([bytes_of(part) for part in head["checkpoint"].split(".")][1])
    except (ValueError, IndexError): return False
    return isinstance(claims, dict) and all(claims.get(each) == head[name] for each, name in (("tenant", "tenantId"), ("hash", "hash"), ("count", "count")))

def is_by(x, signed, signature):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    try: Ed25519PublicKey.from_public_bytes(bytes_of(x)).verify(bytes_of(signature), signed.encode())
    except Exception: return False
    return True

def proves_itself(record):
    report = {**record["report"]}
    x, signature = report.pop("signedBy", ""), report.pop("signature", "")
    signed = canonical({"asset": record["assetId"], "report": report, "tenant": record["tenantId"]})
    return report["generation"] == record["generation"] and is_by(x, f"lifecyclezero containment report 1\n{signed}", signature)

def lines_of(text):
    """Lines of an export. The JSON form has its records in any order, so it is converted to lines."""
    try: log = load(text)
    except ValueError: return text.removesuffix("\n").split("\n")
    if "records" not in log or "type" in log: return [text.removesuffix("\n")]
    if not isinstance(log["records"], list) or set(log) - {"records", "head"}: raise ValueError
    place = lambda record: record.get("tenantNumber") if isinstance(record, dict) else 0
    records = sorted(log["records"], key=lambda record: place(record) if is_int(place(record)) else 0)
    manifest = {"type": "CustodyManifest", "v": 1, "records": len(records), **({"head": log["head"]} if "head" in log else {})}
    return [canonical(each) for each in (manifest, *records)]

def is_int(value): return type(value) is int and abs(value) < 2**53
def is_text(value): return type(value) is str
HEAD = {"type": "CustodyHead".__eq__, "tenantId": is_text, "hash": is_text, "count": is_int, "checkpoint": is_text}
OF_NEWER_VERSIONS = {"at": is_text, "ownHash": is_text, "ownCount": is_int}
def is_head(head):
    known = {**HEAD, **OF_NEWER_VERSIONS}
    return isinstance(head, dict) and HEAD.keys() <= head.keys() <= known.keys() and all(known[name](head[name]) is True for name in head)

try:
    first, *lines = lines_of(open(sys.argv[1], encoding="utf-8", newline="\n").read())
    manifest, x = load(first), [*sys.argv, None][2]
    head = manifest.get("head")
    if canonical([manifest["type"], manifest["v"]]) != '["CustodyManifest",1]' or set(manifest) - {"type", "v", "records", "head"}: raise ValueError
    if not is_int(manifest["records"]) or manifest["records"] < 0 or "head" in manifest and not is_head(head): raise ValueError
except (OSError, IndexError, ValueError, KeyError, TypeError, AttributeError, RecursionError): sys.exit(print("this is not a custody export") or 2)
fault = first_fault(lines, manifest, head, x)
if not fault and head and not speaks_of(head): fault = "head", "its checkpoint belongs to another log"
if not fault and x and head and not is_by(x, *head["checkpoint"].rpartition(".")[::2]): fault = "head", "its checkpoint is not signed by this key"
signed = "the checkpoint " + ("is signed by this key" if x else "was not checked: no key was given") if head else "there is no checkpoint"
reports = 0 if fault else sum("report" in json.loads(line) for line in lines)
if reports: signed += f"; hosts' reports in it: {reports}, " + ("each signed by the device key that it names" if x else "not checked")
print("not ok: %s: %s" % fault if fault else f"ok: {len(lines)} custody records, unbroken; {signed}")
sys.exit(bool(fault))
