// A shop whose API lists the models it sells.
const [express, host, port] = process.argv.slice(2);
const app = require(express)();
app.get("/v1/models", (_request, response) =>
  response.json({ object: "list", data: [{ id: "dress-1", object: "model", name: "Dress", price: 20 }] }),
);
app.get("/health", (_request, response) => response.json({ status: "ok" }));
app.listen(Number(port), host);
