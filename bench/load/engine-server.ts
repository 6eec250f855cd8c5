import { catalogue } from "../../agent/catalogue/engines/list.ts";
import { answersOf } from "./engine-answers.ts";

/** Serves the first HTTP fixture of a catalogue product on a free port. */
const id = process.argv[2];
const entry = catalogue.find((entry) => entry.id === id);
const answers = entry && answersOf(entry);
if (!answers) throw new Error(`the catalogue has no product ${id} with an HTTP fixture`);
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request) => {
    const answer = answers[new URL(request.url).pathname];
    if (!answer) return new Response("Not Found", { status: 404 });
    const { body = "", status = 200, headers = {} } = answer;
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
  },
});
console.log(JSON.stringify({ port: server.port }));
