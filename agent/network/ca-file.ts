import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { getCACertificates } from "node:tls";
import { codeOf, isCode } from "../platform/state-files.ts";

/** Maximum size of a CA file in bytes. The complete Mozilla list is about 220 KiB. */
const FILE_BYTES_MAX = 2 * 1024 * 1024;
const OTHERS_WRITE = 0o022;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
const REMEDY = "put your organisation's CA certificate there in PEM form, or correct ca-file";

export type ReadCa = { ok: true; certificates: string[] } | { ok: false; reason: string };

/**
 * Reads the certificates of a PEM bundle. Rejects a file that is missing, empty, not PEM or writable by other
 * users. The reason says how to fix the problem.
 */
export function readCaFile(path: string, platform: NodeJS.Platform): ReadCa {
  const refuse = (problem: string): ReadCa => ({ ok: false, reason: `ca-file ${path} ${problem}` });
  let text: string;
  try {
    const { mode, size } = statSync(path);
    // A user who can write this file can decide which control plane the agent trusts.
    if (platform !== "win32" && (mode & OTHERS_WRITE) !== 0)
      return refuse("is writable by others: run chmod go-w on it");
    if (size === 0) return refuse(`is empty: ${REMEDY}`);
    if (size > FILE_BYTES_MAX) return refuse(`is larger than ${FILE_BYTES_MAX} bytes: ${REMEDY}`);
    text = readFileSync(path, "latin1");
  } catch (cause) {
    if (isCode(cause, "ENOENT") || isCode(cause, "ENOTDIR")) return refuse(`does not exist: ${REMEDY}`);
    return refuse(
      `cannot be read (${codeOf(cause)}): make it readable to the user of the agent, or correct ca-file`,
    );
  }
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text))
    return refuse("contains a private key: remove the key, because this file is only for CA certificates");
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0)
    return refuse(
      "contains no PEM certificate: if it is DER, convert it with `openssl x509 -inform der -in FILE -out FILE.pem`",
    );
  const broken = certificates.findIndex((pem) => !isCertificate(pem));
  if (broken >= 0)
    return refuse(`contains a damaged certificate (number ${broken + 1}): copy the file again`);
  return { ok: true, certificates };
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

/**
 * The roots to trust if a CA file is set: those of Bun, of the system and in the file. `tls.ca` of a request
 * replaces the default roots, so the list must also include them.
 */
export function withSystemRoots(certificates: readonly string[]): string {
  const all = [...getCACertificates("default"), ...getCACertificates("system"), ...certificates];
  return [...new Set(all.map((pem) => pem.trim()))].join("\n");
}
