import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";

/*
 * A TLS server on the loopback address. The server forwards all data to another port. Arguments: HOST PORT
 * TARGET-HOST TARGET-PORT.
 */

const [host, port, targetHost, targetPort] = process.argv.slice(2);
const files = join(import.meta.dir, "../../tests/fixtures/tls");
createServer(
  {
    key: readFileSync(join(files, "self-signed-key.pem")),
    cert: readFileSync(join(files, "self-signed.pem")),
  },
  (client) => {
    const target = connect({ host: targetHost!, port: Number(targetPort) });
    for (const one of [client, target])
      one.on("error", () => [client, target].forEach((each) => void each.destroy()));
    client.pipe(target).pipe(client);
  },
).listen(Number(port), host);
