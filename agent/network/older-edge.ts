import { isJsonObject } from "../../shared/encoding/json-object.ts";
import type { Log } from "../platform/log.ts";
import { type Answer, type Post, parseJson } from "./control-plane-client.ts";

type Message = Parameters<Post["send"]>[0];
type Rest = Parameters<Post["send"]> extends [unknown, unknown, ...infer Others] ? Others : never;
type Older = { body: string; members: string[] };

/**
 * Optional members that older edges reject, because their schemas accept no unknown members. Add each new
 * optional request member here. `copiedTo` in a session request is left out on purpose, because a request
 * without it would not report the copy.
 */
const NEWER_MEMBERS: Partial<Record<Message, readonly string[]>> = {
  enrolment: ["hardware"],
  session: ["hardware"],
  heartbeat: ["agent.run"],
};

/** Returns the body without its newer members, and their names. Undefined if the body has no newer members. */
export function withoutNewerMembers(message: Message, body: string): Older | undefined {
  const value = parseJson(body);
  const members = (NEWER_MEMBERS[message] ?? []).filter((path) => remove(value, path.split(".")));
  return members.length === 0 ? undefined : { body: JSON.stringify(value), members };
}

/** Deletes the property at `path`. Returns false if the property does not exist. */
function remove(value: unknown, [name, ...rest]: readonly string[]): boolean {
  if (!isJsonObject(value) || name === undefined || !Object.hasOwn(value, name)) return false;
  return rest.length === 0 ? delete value[name] : remove(value[name], rest);
}

/**
 * A {@link Post} that also works with edges older than this agent. If the edge rejects a request as
 * malformed, the request is sent again without its newer members, and the second response is returned. Later
 * heartbeats are then sent without these members until the next session, when the edge may have been updated.
 *
 * @param onOlder called once for each kind of message, with the members that the edge rejects
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
    // After a new session, the next heartbeat is sent with all members.
    isHeartbeatOlder = message === "heartbeat";
    if (!noted.has(message)) onOlder(older.members);
    noted.add(message);
    return answer;
  }

  return { ...post, send };
}

/** Logs the members that an older edge rejects. */
export const olderEdgeLog =
  (log: Log) =>
  (members: readonly string[]): void =>
    log("warn", "edge.outdated", { leftOut: members.join(", ") });

const isTaken = (answer: Answer): boolean =>
  answer.kind === "answered" && answer.status >= 200 && answer.status < 300;

/**
 * Whether the edge rejected the request because it does not match the schema. The error code is checked,
 * because a proxy can also respond with status 400.
 */
export const isMalformed = (answer: Answer): boolean =>
  answer.kind === "answered" && answer.status === 400 && answer.problem?.code === "wire.malformed";
