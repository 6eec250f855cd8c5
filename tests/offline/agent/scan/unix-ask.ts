/*
 * Sends a request to a unix socket in the same way as the reader process. Uses the permissions of the current
 * process. Prints the response. Usage: `unix-ask.ts PATH PID UID`.
 */
import { requestText } from "../../../../agent/scan/probe/http-client.ts";
import { askSocket } from "../../../../agent/scan/reader/read-socket.ts";

const [path, pid, uid] = process.argv.slice(2);
const request = {
  path: path!,
  pids: [Number(pid)],
  uid: Number(uid),
  quietMs: 0,
  request: requestText("localhost", "/v1/models"),
  bodyBytesMax: 1024,
  timeoutMs: 1000,
};
const elapsed = () => performance.now();
console.log(JSON.stringify(askSocket(request, () => undefined, elapsed)));
