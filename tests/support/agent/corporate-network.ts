import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect as connectSocket, createServer } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { Glob } from "bun";

/**
 * Simulates a company network: a real forward proxy (tinyproxy), and TLS servers with certificates from a
 * private CA.
 */

export const TOOLS = ["tinyproxy", "openssl"] as const;

function openssl(directory: string, ...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { cwd: directory });
  if (exitCode !== 0) throw new Error(`openssl ${args[0]}: ${stderr.toString()}`);
}

export type Certificate = { key: string; cert: string };
export type PrivateCa = {
  /** Path of the CA certificate in PEM format. */
  path: string;
  /**
   * Issues a server certificate for names such as `DNS:localhost`. `from` and `to` limit its validity, in
   * days from now.
   */
  issue: (names: string, days?: { from: number; to: number }) => Certificate;
  /** Issues a self-signed certificate for these names. */
  selfSigned: (names: string) => Certificate;
};

export function createPrivateCa(directory: string): PrivateCa {
  mkdirSync(directory, { recursive: true });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const root = ["-x509", ...newKey, "-subj", "/CN=Example Corp Root", "-days", "30"];
  openssl(directory, "req", ...root, "-keyout", "ca.key", "-out", "ca.pem");
  let count = 0;
  const read = (name: string): Certificate => ({
    key: readFileSync(join(directory, `${name}.key`), "utf8"),
    cert: readFileSync(join(directory, `${name}.pem`), "utf8"),
  });
  return {
    path: join(directory, "ca.pem"),
    issue: (names, { from, to } = { from: -1, to: 30 }) => {
      const name = `server-${++count}`;
      openssl(
        directory,
        "req",
        ...newKey,
        "-subj",
        "/CN=lz",
        "-keyout",
        `${name}.key`,
        "-out",
        `${name}.csr`,
      );
      writeFileSync(join(directory, `${name}.cnf`), caConfiguration(names));
      writeFileSync(join(directory, "index.txt"), "");
      const dates = ["-startdate", asn1Time(from), "-enddate", asn1Time(to)];
      const files = ["-in", `${name}.csr`, "-out", `${name}.pem`, "-config", `${name}.cnf`];
      openssl(directory, "ca", "-batch", "-notext", "-rand_serial", ...dates, ...files);
      return read(name);
    },
    selfSigned: (names) => {
      const name = `self-${++count}`;
      const subject = ["-subj", "/CN=lz", "-addext", `subjectAltName=${names}`, "-days", "30"];
      openssl(
        directory,
        "req",
        "-x509",
        ...newKey,
        ...subject,
        "-keyout",
        `${name}.key`,
        "-out",
        `${name}.pem`,
      );
      return read(name);
    },
  };
}

const caConfiguration = (names: string): string => `[ca]
default_ca = own
[own]
database = index.txt
serial = serial.txt
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
unique_subject = no
x509_extensions = server
[any]
commonName = supplied
[server]
subjectAltName = ${names}
`;

const asn1Time = (days: number): string =>
  `${new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;

/**
 * Starts a TLS server that forwards each request to `origin`. Its Date headers are `aheadMs` milliseconds
 * ahead of the real time.
 */
export function startTlsFront(certificate: Certificate, origin: string, aheadMs = 0) {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: certificate,
    idleTimeout: 120,
    fetch: async (request) => {
      const { pathname } = new URL(request.url);
      const body = request.method === "GET" ? {} : { body: await request.arrayBuffer() };
      const answer = await fetch(origin + pathname, {
        method: request.method,
        headers: request.headers,
        ...body,
      });
      if (aheadMs === 0) return answer;
      const date = new Date(Date.now() + aheadMs).toUTCString();
      return new Response(answer.body, { status: answer.status, headers: { date } });
    },
  });
  return { port: server.port!, stop: () => server.stop(true) };
}

/** Starts a TLS server that relays bytes to a port of this host. */
export function startTlsRelay(certificate: Certificate, to: number) {
  const server = createTlsServer(certificate, (outer) => {
    const inner = connectSocket(to, "127.0.0.1");
    outer.pipe(inner).pipe(outer);
    for (const socket of [outer, inner]) socket.on("error", () => inner.destroy());
  });
  const port = new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
  return { port, stop: () => void server.close() };
}

export type ForwardProxy = {
  port: number;
  /** Destination (host and port) of each tunnel that the proxy has opened. */
  tunnels: () => string[];
  stop: () => Promise<void>;
};

/** Starts tinyproxy. The proxy requires a user and a password, and opens tunnels only to the given ports. */
export async function startForwardProxy(
  directory: string,
  { user, password, ports }: { user: string; password: string; ports: readonly number[] },
): Promise<ForwardProxy> {
  mkdirSync(directory, { recursive: true });
  const port = await freePort();
  const log = join(directory, "proxy.log");
  const lines = [
    `Port ${port}`,
    "Listen 127.0.0.1",
    "Timeout 600",
    "MaxClients 50",
    `BasicAuth ${user} ${password}`,
    ...ports.map((one) => `ConnectPort ${one}`),
    `LogFile "${log}"`,
    "LogLevel Info",
  ];
  writeFileSync(join(directory, "proxy.conf"), `${lines.join("\n")}\n`);
  const child = Bun.spawn(["tinyproxy", "-d", "-c", join(directory, "proxy.conf")], {
    stdout: "ignore",
    stderr: "ignore",
  });
  for (let tries = 0; !(await accepts(port)); tries++) {
    if (tries > 200) throw new Error("tinyproxy does not listen");
    await Bun.sleep(25);
  }
  return {
    port,
    tunnels: () =>
      [...readFileSync(log, "utf8").matchAll(/Request \(file descriptor \d+\): CONNECT (\S+)/g)].map(
        ([, target]) => target!,
      ),
    stop: async () => {
      child.kill();
      await child.exited;
    },
  };
}

export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connectSocket(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });

/** Returns the contents of all files below a directory, so that a test can search the contents for secrets. */
export const filesBelow = (directory: string): string =>
  [...new Glob("**/*").scanSync({ cwd: directory, dot: true })]
    .map((path) => readFileSync(join(directory, path), "utf8"))
    .join("\n");
