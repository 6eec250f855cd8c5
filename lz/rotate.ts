import { importJWK } from "jose";
import { type ControlJwk, newControlKey, newSecret, publicHalf } from "../shared/key-material.ts";
import { signKeySet } from "../shared/wire/key-set.ts";
import { type Deps, Failure, Misuse, type Verb } from "./deps.ts";
import { type KeyLines, needLine, privateKey, readJsonLine, readKeyFile } from "./key-file.ts";

/*
 * A key is rotated in three steps, each rolled out everywhere before the next: `add` makes the new one known,
 * `promote` makes it the one that signs, `drop` forgets the old one. At no step does a node meet a signature it
 * cannot verify: see docs/rotation.md.
 */
type Step = "add" | "promote" | "drop";

const VARIABLES = { edge: "LZ_EDGE_SECRETS", queue: "LZ_QUEUE_KEYS" } as const;

export const run: Verb = async (args, deps) => {
  const what = args.operands[0] as "edge" | "queue" | "control";
  const step = args.operands[1] as Step;
  if (!["edge", "queue", "control"].includes(what))
    throw new Misuse("rotate: edge, queue or control is needed");
  if (!["add", "promote", "drop"].includes(step)) throw new Misuse("rotate: add, promote or drop is needed");
  const environment = readKeyFile(args.texts.env!);
  const changed =
    what === "control"
      ? await rotateControl(environment, step, deps)
      : rotateSecret(environment, VARIABLES[what], step, deps);
  return { json: changed, lines: Object.entries(changed).map(([name, value]) => `${name}=${value}`) };
};

/** The version after the highest one: `v2` after `v1`. */
function nextVersion(secrets: readonly string[]): string {
  const [, letter = "v"] = /^([a-z]+)/.exec(secrets[0] ?? "") ?? [];
  const numbers = secrets.map((secret) => Number(/^[a-z]+(\d+)/.exec(secret)?.[1] ?? 0));
  return `${letter}${Math.max(...numbers) + 1}`;
}

function rotateSecret(environment: KeyLines, name: string, step: Step, deps: Deps): KeyLines {
  const secrets = needLine(environment, name)
    .split(",")
    .map((secret) => secret.trim());
  if (step === "add") {
    if (secrets.length > 1) throw new Failure(`${name} has two already: promote and drop first`);
    return { [name]: [...secrets, newSecret(nextVersion(secrets), deps.random)].join(",") };
  }
  if (secrets.length !== 2) throw new Failure(`${name} has ${secrets.length} of the two it needs: add first`);
  return { [name]: step === "promote" ? secrets.toReversed().join(",") : secrets[0]! };
}

const readKey = (lines: KeyLines, name: string): ControlJwk =>
  readJsonLine(lines, name, privateKey, "a private control key");

/** Agents learn of the new key through a set signed by one they have pinned, with their next session. */
async function rotateControl(environment: KeyLines, step: Step, deps: Deps): Promise<KeyLines> {
  const current = readKey(environment, "LZ_CONTROL_KEY");
  const nowSeconds = Math.floor(deps.clock() / 1000);
  const signedBy = async (key: ControlJwk, keys: ControlJwk[]) => {
    const signer = { kid: key.kid, key: (await importJWK(key, "EdDSA")) as CryptoKey };
    return signKeySet(signer, { keys: keys.map(publicHalf) }, nowSeconds);
  };
  const jwks = (keys: ControlJwk[]) => JSON.stringify({ keys: keys.map(publicHalf) });
  if (step === "add") {
    const number = Number(/(\d+)$/.exec(current.kid)?.[1] ?? 1) + 1;
    const next = await newControlKey(`control-${number}`);
    return {
      LZ_CONTROL_JWKS: jwks([current, next]),
      LZ_CONTROL_KEY_SET: await signedBy(current, [current, next]),
      LZ_CONTROL_KEY_NEXT: JSON.stringify(next),
    };
  }
  if (step === "promote") {
    const next = readKey(environment, "LZ_CONTROL_KEY_NEXT");
    return {
      LZ_CONTROL_KEY: JSON.stringify(next),
      LZ_CONTROL_KEY_SET: await signedBy(current, [next, current]),
    };
  }
  return { LZ_CONTROL_JWKS: jwks([current]), LZ_CONTROL_KEY_SET: await signedBy(current, [current]) };
}
