import type { Hashing } from "../runtime/hashing.ts";

/**
 * Caches the validated state of each session. Most heartbeats repeat the previous state byte for byte. Their
 * text is `{"v":1,"sequence":…,"sentAt":…,` MIDDLE `,"spool":{…}}`. If MIDDLE equals the cached MIDDLE, it is
 * not validated again.
 */
export type ValidatedStates = {
  /** Returns the generation in the containment report if this state was already validated, otherwise undefined. */
  recognise(keyid: string, body: Uint8Array): number | undefined;
  /**
   * Caches the state of a heartbeat that was just validated. `text` is the decoded body, and `json` is the
   * parsed body.
   */
  remember(
    keyid: string,
    body: Uint8Array,
    heartbeat: { text: string; json: unknown; provenGeneration: number },
  ): void;
};

/**
 * Patterns for the fields that change while the state does not change. They accept nothing that the schema
 * rejects.
 */
const HEAD =
  /^\{"v":1,"sequence":(?:0|[1-9]\d{0,14}),"sentAt":"([12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)",/;
const TAIL = /,"spool":\{"waiting":(?:0|[1-9]\d{0,14}),"dropped":(?:0|[1-9]\d{0,14})\}\}$/;
/** Maximum length in bytes of the text that HEAD and TAIL match. Only these bytes are decoded. */
const HEAD_BYTES_MAX = 80;
const TAIL_BYTES_MAX = 64;

/** Maximum length of a cached state in bytes. A longer state is validated each time. */
const STATE_BYTES_MAX = 32 * 1024;
/** Maximum size of the cache in bytes, over all sessions. */
const KEPT_BYTES_MAX = 96 * 1024 * 1024;

/** Maps each byte to one character, so that offsets in text and bytes agree. Non-ASCII bytes match neither pattern. */
const latin1 = new TextDecoder("latin1");

function middleOf(body: Uint8Array): Uint8Array | undefined {
  const head = HEAD.exec(latin1.decode(body.subarray(0, HEAD_BYTES_MAX)));
  if (!head || !Number.isFinite(Date.parse(head[1]!))) return undefined;
  const tail = TAIL.exec(latin1.decode(body.subarray(-TAIL_BYTES_MAX)));
  if (!tail) return undefined;
  const end = body.length - tail[0].length;
  return end > head[0].length ? body.subarray(head[0].length, end) : undefined;
}

export function createValidatedStates({ isEqual }: Pick<Hashing, "isEqual">): ValidatedStates {
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
      // Copy the middle, because a subarray would keep the whole body in memory.
      const middle = middleOf(body)?.slice();
      // Do not cache a text that JSON.stringify changes. It contains a duplicate member or an unusual escape.
      // The same bytes in another heartbeat could then have a different meaning.
      if (middle === undefined || JSON.stringify(json) !== text) return;
      forget(keyid);
      while (bytes + middle.length > KEPT_BYTES_MAX) forget(seen.keys().next().value!);
      seen.set(keyid, { middle, provenGeneration });
      bytes += middle.length;
    },
  };
}
