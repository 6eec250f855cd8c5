import { isJsonObject } from "../../shared/encoding/json-object.ts";
import type { Log } from "../platform/log.ts";
import { type Answer, type Post, parseJson } from "./control-plane-client.ts";

type Message = Parameters<Post["send"]>[0];
type Rest = Parameters<Post["send"]> extends [unknown, unknown, ...infer Others] ? Others : never;
type Older = { body: string; members: string[] };

/**
 * Optional members that edges without them refuse, because their schemas take no unknown member. Add each new optional
 * member of a request here. `copiedTo` of a session is not in the list: without it the request is no report of a copy.
 */
const NEWER_MEMBERS: Partial<Record<Message, readonly string[]>> = {
  enrolment: ["hardware"],
  session: ["hardware"],
  heartbeat: ["agent.run"],
};

/** A body without its newer members, and their names; undefined when it has none. */
export function withoutNewerMembers(message: Message, body: string): Older | undefined {
  const value = parseJson(body);
  const members = (NEWER_MEMBERS[message] ?? []).filter((path) => remove(value, path.split(".")));
  return members.length === 0 ? undefined : { body: JSON.stringify(value), members };
}

/** Deletes the property at `path` and returns true, or returns false if the property does not exist. */
function remove(value: unknown, [name, ...rest]: readonly string[]): boolean {
  if (!isJsonObject(value) || name === undefined || !Object.hasOwn(value, name)) return false;
  return rest.length === 0 ? delete value[name] : remove(value[name], rest);
}

/**
 * A {@link Post} that also reaches edges older than this agent. What the edge refuses as malformed is sent once more
 * without its newer members, and the second answer counts. Once the edge took a heartbeat in this way, those
 * that follow are sent without these members until the next session: the edge may have been updated by then.
 *
 * @param onOlder given the members that the edge does not take, once for each message
 */
export function createCompatiblePost(post: Post, onOlder: (members: readonly string[]) => void): Post {
  const noted = new Set<Message>();
  let isHeartbeatOlder = false;

  const send: Post["send"] = async (message, body, ...rest) => {
    const isKnownOlder = message === "heartbeat" && isHeartbeatOlder;
    const answer = isKnownOlder ? undefined : await post.send(message, body, ...rest);
    if (answer && message === "session" && isTaken(answer)) isHeartbeatOlder = false;
    if (answer && !isMalformed(answer)) return answer;
    const older = withoutNewerMembers(message, body);
    if (older) return sendOlder(message, older, rest);
    return answer ?? post.send(message, body, ...rest);
  };

  async function sendOlder(message: Message, older: Older, rest: Rest): Promise<Answer> {
    const answer = await post.send(message, older.body, ...rest);
    if (!isTaken(answer)) return answer;
    // A session that was opened is a new one: the next heartbeat goes out whole.
    isHeartbeatOlder = message === "heartbeat";
    if (!noted.has(message)) onOlder(older.members);
    noted.add(message);
    return answer;
  }

  return { ...post, send };
}

/** Logs what an older edge does not take. */
export const olderEdgeLog =
  (log: Log) =>
  (members: readonly string[]): void =>
    log("warn", "edge.outdated", { leftOut: members.join(", ") });

const isTaken = (answer: Answer): boolean =>
  answer.kind === "answered" && answer.status >= 200 && answer.status < 300;

/** The edge's own word, with its code. A proxy answers 400 too, and knows nothing of the schema. */
export const isMalformed = (answer: Answer): boolean =>
  answer.kind === "answered" && answer.status === 400 && answer.problem?.code === "wire.malformed";
