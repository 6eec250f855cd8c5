import { isIP, type Socket } from "node:net";
import { connect, type PeerCertificate, type TLSSocket } from "node:tls";
import { messageOf } from "../../shared/observability/error-message.ts";
import { tidy } from "../../shared/wire/text.ts";
import { codeOf } from "../platform/state-files.ts";
import { type Check, failed, passed } from "./check.ts";
import { readHead, type Target, targetText } from "./connection.ts";

const HANDSHAKE_TIMEOUT_MS = 8000;

export type TlsAsked = {
  target: Target;
  ca: string | undefined;
  caFile: string | undefined;
  nowMs: number;
};

/**
 * `dateMs`: the server's time in epoch milliseconds, which is read even if the server is not trusted. A wrong
 * clock on this host can be the reason why the certificate is rejected.
 */
export type TlsSeen = { check: Check; dateMs: number | undefined };

/**
 * Performs a TLS handshake that accepts any certificate. Reports why a normal request would reject the
 * certificate.
 */
export async function checkTls(socket: Socket, asked: TlsAsked): Promise<TlsSeen> {
  const { target, ca } = asked;
  let secured: TLSSocket;
  try {
    secured = await handshake(socket, target, ca);
  } catch (cause) {
    const reason = tidy(messageOf(cause, codeOf(cause)), 160);
    const cure =
      "check that the address uses https and the right port; a proxy or firewall on the path can also interrupt TLS";
    return {
      check: failed("tls", `${targetText(target)} did not complete a TLS handshake (${reason})`, cure),
      dateMs: undefined,
    };
  }
  const certificate = secured.getPeerCertificate();
  const error: unknown = secured.authorizationError;
  const code = typeof error === "string" ? error : codeOf(error);
  const check = secured.authorized
    ? passed("tls", `certificate issued by ${issuerOf(certificate)}, valid until ${certificate.valid_to}`)
    : refused(code, certificate, asked);
  const dateMs = await readDate(secured, target).catch(() => undefined);
  secured.destroy();
  return { check, dateMs };
}

function handshake(socket: Socket, { name }: Target, ca: string | undefined): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error("no response to the handshake"));
    }, HANDSHAKE_TIMEOUT_MS);
    const secured = connect({
      socket,
      host: name,
      ...(isIP(name) ? {} : { servername: name }),
      ...(ca !== undefined && { ca }),
      rejectUnauthorized: false,
    });
    secured.once("secureConnect", () => {
      clearTimeout(timer);
      resolve(secured);
    });
    secured.on("error", (cause) => {
      clearTimeout(timer);
      reject(cause);
    });
    secured.once("close", () => {
      clearTimeout(timer);
      reject(new Error("the connection closed during the handshake"));
    });
  });
}

async function readDate(secured: TLSSocket, target: Target): Promise<number | undefined> {
  const head = readHead(secured);
  secured.write(`GET /healthz HTTP/1.1\r\nHost: ${targetText(target)}\r\nConnection: close\r\n\r\n`);
  const date = Date.parse(/^date: (.+)$/im.exec(await head)?.[1] ?? "");
  return Number.isFinite(date) ? date : undefined;
}

const nameOf = (entity: PeerCertificate["issuer"] | undefined): string => {
  const name = entity?.CN ?? entity?.O;
  return name === undefined ? "an unnamed CA" : `"${tidy(String(name), 80)}"`;
};
const issuerOf = ({ issuer }: PeerCertificate): string => nameOf(issuer);

function refused(code: string, certificate: PeerCertificate, { target, caFile, nowMs }: TlsAsked): Check {
  const fail = (detail: string, cure: string): Check => failed("tls", `${detail} (${code})`, cure);
  switch (code) {
    case "ERR_TLS_CERT_ALTNAME_INVALID":
    case "HOSTNAME_MISMATCH":
      return fail(
        `the certificate is not valid for ${target.name}; its names are ${tidy(certificate.subjectaltname ?? "no name", 160)}`,
        "use a name of the certificate in the control plane's address, or issue a certificate for this name",
      );
    case "CERT_HAS_EXPIRED":
      return fail(
        `the certificate expired on ${certificate.valid_to}; this host's clock shows ${new Date(nowMs).toUTCString()}`,
        "renew the certificate of the control plane or of the proxy that inspects TLS; if this host's clock is wrong, correct it",
      );
    case "CERT_NOT_YET_VALID":
      return fail(
        `the certificate is not valid before ${certificate.valid_from}; this host's clock shows ${new Date(nowMs).toUTCString()}`,
        "correct this host's clock",
      );
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      return fail(
        "the certificate is self-signed, not issued by a CA",
        "use a certificate from a CA for the control plane; or, if you trust this one, copy it to this host as PEM and set ca-file to it",
      );
    default:
      return fail(
        `the certificate was issued by ${issuerOf(certificate)}, a CA that this host does not trust`,
        caFile === undefined
          ? "get the certificate of this CA as PEM from your network administrator, and set ca-file to it"
          : `add the certificate of this CA, as PEM, to ${caFile}`,
      );
  }
}
