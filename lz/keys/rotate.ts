import { importJWK } from "jose";
import { type ControlJwk, newControlKey, newSecret, publicHalf } from "../../shared/key-generation.ts";
import { signKeySet } from "../../shared/wire/key-set.ts";
import type { Deps, Verb } from "../platform/deps.ts";
import { Failure } from "../platform/faults.ts";
import {
  type KeyLines,
  needLine,
  privateKey,
  publicKeys,
  readJsonLine,
  readKeyFile,
  writeKeyFile,
} from "../platform/key-file.ts";

/*
 * A key is rotated in three steps. `add` makes the new key known, `promote` signs with it, and `drop` removes
 * the old key. Each step is rolled out to every node before the next one. Every node can verify every
 * signature at each step (see docs/rotation.md).
 */
type Step = "add" | "promote" | "drop";

const VARIABLES = { edge: "LZ_EDGE_SECRETS", queue: "LZ_QUEUE_KEYS" } as const;

export const run: Verb = async (args, deps) => {
  const [what, step] = args.operands as ["edge" | "queue" | "control", Step];
  const environment = readKeyFile(args.texts.env!);
  const changed =
    what === "control"
      ? await rotateControl(environment, step, deps)
      : rotateSecret(environment, VARIABLES[what], step, deps);
  if (!args.flags.has("write"))
    return { json: changed, lines: Object.entries(changed).map(([name, value]) => `${name}=${value}`) };
  writeKeyFile(args.texts.env!, changed);
  const names = Object.keys(changed);
  return { json: { written: names }, lines: [`updated ${names.join(", ")} in ${args.texts.env}`] };
};

type Secret = { version: string; number: number; text: string };

const SECRET = /^([a-z0-9]{1,16}):[A-Za-z0-9_-]{43,}$/;

/** Reads secrets in the format `version:base64url`, separated by commas. Each secret has at least 32 bytes. */
function readSecrets(environment: KeyLines, name: string): Secret[] {
  const secrets = needLine(environment, name)
    .split(",")
    .map((part): Secret => {
      const text = part.trim();
      const version = SECRET.exec(text)?.[1];
      if (version === undefined)
        throw new Failure(
          `${name} is damaged: expected version:base64url of at least 32 bytes, separated by commas`,
        );
      return { version, number: Number(/(\d+)$/.exec(version)?.[1] ?? 0), text };
    });
  const twice = secrets.find(
    ({ version }, index) => secrets.findIndex((each) => each.version === version) !== index,
  );
  if (twice)
    throw new Failure(`${name} has the version ${twice.version} twice: remove the secret that is not in use`);
  return secrets;
}

function rotateSecret(environment: KeyLines, name: string, step: Step, deps: Deps): KeyLines {
  const secrets = readSecrets(environment, name);
  const [first, second] = secrets as [Secret, Secret | undefined];
  if (step === "add") {
    if (second) throw new Failure(`${name} has two secrets already: promote and drop first`);
    const letter = /^([a-z]+)/.exec(first.version)?.[1] ?? "v";
    const next = newSecret(`${letter}${first.number + 1}`, deps.random);
    return { [name]: `${first.text},${next}` };
  }
  if (!second || secrets.length > 2)
    throw new Failure(`${name} has ${secrets.length} secrets instead of two: add first`);
  // The newer secret has the higher number. The first secret signs.
  const isPromoted = first.number > second.number;
  if (step === "promote") {
    if (isPromoted)
      throw new Failure(`${name}: ${first.version} is promoted already; drop ${second.version} next`);
    return { [name]: `${second.text},${first.text}` };
  }
  if (!isPromoted)
    throw new Failure(
      `${name}: ${first.version} still signs, and drop would remove the new ${second.version}. Promote first, and save what promote prints`,
    );
  return { [name]: first.text };
}

const readKey = (lines: KeyLines, name: string): ControlJwk =>
  readJsonLine(lines, name, privateKey, "a private control key");

/**
 * Rotates the control key. Agents receive the new key with their next session, in a set that is signed by a
 * key they have pinned.
 */
async function rotateControl(environment: KeyLines, step: Step, deps: Deps): Promise<KeyLines> {
  const current = readKey(environment, "LZ_CONTROL_KEY");
  const { keys: known } = readJsonLine(
    environment,
    "LZ_CONTROL_JWKS",
    publicKeys,
    "a set of public control keys",
  );
  const kids = known.map(({ kid }) => kid);
  checkKids(kids, current.kid);
  const nowSeconds = Math.floor(deps.clock() / 1000);
  const signedBy = async (key: ControlJwk, keys: ControlJwk[]) => {
    const signer = { kid: key.kid, key: (await importJWK(key, "EdDSA")) as CryptoKey };
    return signKeySet(signer, { keys: keys.map(publicHalf) }, nowSeconds);
  };
  const jwks = (keys: ControlJwk[]) => JSON.stringify({ keys: keys.map(publicHalf) });
  if (step === "add") {
    if (kids.length > 1) throw new Failure("LZ_CONTROL_JWKS has two keys already: promote and drop first");
    const number = Number(/(\d+)$/.exec(current.kid)?.[1] ?? 1) + 1;
    const next = await newControlKey(`control-${number}`);
    return {
      LZ_CONTROL_JWKS: jwks([current, next]),
      LZ_CONTROL_KEY_SET: await signedBy(current, [current, next]),
      LZ_CONTROL_KEY_NEXT: JSON.stringify(next),
    };
  }
  if (kids.length !== 2)
    throw new Failure(`LZ_CONTROL_JWKS has ${kids.length} keys instead of two: add first`);
  // `add` puts the new key last.
  const isPromoted = current.kid === kids[1];
  if (step === "promote") {
    if (isPromoted) throw new Failure(`${current.kid} is promoted already; drop ${kids[0]} next`);
    const next = readKey(environment, "LZ_CONTROL_KEY_NEXT");
    if (next.kid !== kids[1])
      throw new Failure(
        `LZ_CONTROL_KEY_NEXT is ${next.kid}, but LZ_CONTROL_JWKS has ${kids[1]}: use the values that "lz rotate control add" printed`,
      );
    return {
      LZ_CONTROL_KEY: JSON.stringify(next),
      LZ_CONTROL_KEY_SET: await signedBy(current, [next, current]),
    };
  }
  if (!isPromoted)
    throw new Failure(
      `LZ_CONTROL_KEY is still ${current.kid}, and drop would remove the new ${kids[1]}. Promote first, and save what promote prints`,
    );
  return { LZ_CONTROL_JWKS: jwks([current]), LZ_CONTROL_KEY_SET: await signedBy(current, [current]) };
}

function checkKids(kids: readonly string[], signing: string): void {
  const twice = kids.find((kid, index) => kids.indexOf(kid) !== index);
  if (twice !== undefined)
    throw new Failure(`LZ_CONTROL_JWKS has ${twice} twice: remove the key that is not in use`);
  if (!kids.includes(signing))
    throw new Failure(
      `LZ_CONTROL_KEY is ${signing}, which is not in LZ_CONTROL_JWKS: agents would reject its signatures`,
    );
}
