/**
 * Most heartbeats say what the one before said, in the same words. Their text is
 * `{"v":1,"sequence":…,"sentAt":…,` MIDDLE `,"spool":{…}}`, and when the middle is to the letter one that was
 * validated in this session, validating it again can come to nothing else.
 */
export type SeenStates = {
  /** Generation in the containment report of a heartbeat whose state was validated before; else undefined. */
  recognise(keyid: string, text: string): number | undefined;
  /** Remembers the state of a heartbeat that has just been validated. `parsed` is what JSON.parse made of `text`. */
  remember(keyid: string, text: string, parsed: unknown, provenGeneration: number): void;
};

/** The whole of what varies in an unchanged heartbeat, as strict as its schema is. */
const HEAD = /^\{"v":1,"sequence":(?:0|[1-9]\d{0,14}),"sentAt":"(2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)",/;
const TAIL = /,"spool":\{"waiting":(?:0|[1-9]\d{0,14}),"dropped":(?:0|[1-9]\d{0,14})\}\}$/;
/** No tail is longer: looking for one starts there. */
const TAIL_CHARACTERS_MAX = 64;

/** A state longer than this is validated each time; and of all of them this much is kept. */
const STATE_CHARACTERS_MAX = 32 * 1024;
const KEPT_CHARACTERS_MAX = 96 * 1024 * 1024;

function middleOf(text: string): string | undefined {
  const head = HEAD.exec(text);
  if (!head || !Number.isFinite(Date.parse(head[1]!))) return undefined;
  const tail = TAIL.exec(text.slice(-TAIL_CHARACTERS_MAX));
  if (!tail) return undefined;
  const end = text.length - tail[0].length;
  return end > head[0].length ? text.slice(head[0].length, end) : undefined;
}

export function createSeenStates(): SeenStates {
  const seen = new Map<string, { middle: string; provenGeneration: number }>();
  let characters = 0;

  function forget(keyid: string): void {
    characters -= seen.get(keyid)?.middle.length ?? 0;
    seen.delete(keyid);
  }

  return {
    recognise(keyid, text) {
      const state = seen.get(keyid);
      return state !== undefined && middleOf(text) === state.middle ? state.provenGeneration : undefined;
    },
    remember(keyid, text, parsed, provenGeneration) {
      if (text.length > STATE_CHARACTERS_MAX) return;
      const middle = middleOf(text);
      // A member that stands twice, or an odd escape, would let the middle say something else than was validated.
      if (middle === undefined || JSON.stringify(parsed) !== text) return;
      forget(keyid);
      while (characters + middle.length > KEPT_CHARACTERS_MAX) forget(seen.keys().next().value!);
      seen.set(keyid, { middle, provenGeneration });
      characters += middle.length;
    },
  };
}
