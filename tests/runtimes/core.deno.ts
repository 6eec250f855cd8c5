/** Runs in Deno without any permission: the app core needs no network, no environment, no disk. */
import { makeHeartbeat, signedRequest } from "../../lz/fleet.ts";
import { EDGE_URL, makeEdgeApp } from "../support/edge-app.ts";

const { app, state, openSession } = await makeEdgeApp();
const signer = await openSession();
const body = JSON.stringify(makeHeartbeat(1, state.nowMs, "host"));
const request = () => signedRequest(EDGE_URL, "/v1/heartbeats", body, signer, state.nowMs / 1000);
const good = await app.request(await request());
const forged = await app.request(`${EDGE_URL}/v1/heartbeats`, {
  method: "POST",
  headers: (await request()).headers,
  body: `${body} `,
});
const page = await app.request(`${EDGE_URL}/`);
console.log(
  JSON.stringify({
    good: good.status,
    forged: forged.status,
    page: page.status,
    queued: state.queued.length,
  }),
);
