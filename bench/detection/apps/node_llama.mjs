// A Node server of an own making that answers with a local model, loaded by node-llama-cpp.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [library, modelPath, host, port] = process.argv.slice(2);
const { getLlama } = await import(pathToFileURL(`${library}/dist/index.js`).href);
const llama = await getLlama({ gpu: false, build: "never" });
const model = await llama.loadModel({ modelPath });
createServer((_request, response) => response.end(String(model.trainContextSize))).listen(Number(port), host);
