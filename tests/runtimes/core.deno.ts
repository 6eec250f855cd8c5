/** Runs in Deno without permissions. The core of the app needs no network, environment or disk. */
import { makeHeartbeat, signedRequest } from "../../lz/platform/simulated-agents.ts";
import { makeForgeries } from "../support/control/forgeries.ts";
import { EDGE_URL, makeEdgeApp } from "../support/edge/edge-app.ts";

const ROUNDS = 3000;

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
const forgeries = await makeForgeries(20261127);
const goodOnes = await forgeries.good();
const wrong: string[] = [];
for (let number = 0; number < ROUNDS; number++) {
  const { name, status } = await forgeries.round(number);
  if (status < 400 || status >= 500) wrong.push(`round ${number}, ${name}: ${status}`);
}
console.log(
  JSON.stringify({
    good: good.status,
    forged: forged.status,
    page: page.status,
    queued: state.queued.length,
    goodOnes,
    wrong,
  }),
);
