import type { Hashing } from "../runtime/hashing.ts";

/**
 * Most heartbeats say what the one before said, in the same words. Their text is
 * `{"v":1,"sequence":…,"sentAt":…,` MIDDLE `,"spool":{…}}`, and when the middle is to the byte one that was
 * validated in this session, validating it again can come to nothing else.
 */
export type SeenStates = {
  /** Generation in the containment report of a heartbeat whose state was validated before; else undefined. */
  recognise(keyid: string, body: Uint8Array): number | undefined;
  /** Remembers the state of a heartbeat that has just been validated: `text` of its body, `json` of its text. */
  remember(
    keyid: string,
    body: Uint8Array,
    heartbeat: { text: string; json: unknown; provenGeneration: number },
  ): void;
};

/** The whole of what varies in an unchanged heartbeat, as strict as its schema is. */
const HEAD =
  /^\{"v":1,"sequence":(?:0|[1-9]\d{0,14}),"sentAt":"([12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)",/;
const TAIL = /,"spool":\{"waiting":(?:0|[1-9]\d{0,14}),"dropped":(?:0|[1-9]\d{0,14})\}\}$/;
/** No head is longer, and no tail: only there is looked for them. */
const HEAD_BYTES_MAX = 80;
const TAIL_BYTES_MAX = 64;

/** A state longer than this is validated each time; and of all of them this much is kept. */
const STATE_BYTES_MAX = 32 * 1024;
const KEPT_BYTES_MAX = 96 * 1024 * 1024;

/** One character a byte, whatever the byte: what is not ASCII matches neither pattern. */
const latin1 = new TextDecoder("latin1");

function middleOf(body: Uint8Array): Uint8Array | undefined {
  const head = HEAD.exec(latin1.decode(body.subarray(0, HEAD_BYTES_MAX)));
  if (!head || !Number.isFinite(Date.parse(head[1]!))) return undefined;
  const tail = TAIL.exec(latin1.decode(body.subarray(-TAIL_BYTES_MAX)));
  if (!tail) return undefined;
  const end = body.length - tail[0].length;
  return end > head[0].length ? body.subarray(head[0].length, end) : undefined;
}

export function createSeenStates({ isEqual }: Pick<Hashing, "isEqual">): SeenStates {
  const seen = new Map<string, { middle: Uint8Array; provenGeneration: number }>();
  let bytes = 0;

  function forget(keyid: string): void {
    bytes -= seen.get(keyid)?.middle.length ?? 0;
    seen.delete(keyid);
  }

  return {
    recognise(keyid, body) {
      const state = seen.get(keyid);
      if (state === undefined) return undefined;
      const middle = middleOf(body);
      return middle && isEqual(middle, state.middle) ? state.provenGeneration : undefined;
    },
    remember(keyid, body, { text, json, provenGeneration }) {
      if (body.length > STATE_BYTES_MAX) return;
      // A copy: the body itself would be kept alive by a part of it.
      const middle = middleOf(body)?.slice();
      // A member that stands twice, or an odd escape, would let the middle say something else than was validated.
      if (middle === undefined || JSON.stringify(json) !== text) return;
      forget(keyid);
      while (bytes + middle.length > KEPT_BYTES_MAX) forget(seen.keys().next().value!);
      seen.set(keyid, { middle, provenGeneration });
      bytes += middle.length;
    },
  };
}
