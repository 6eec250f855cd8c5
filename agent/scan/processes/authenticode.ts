import { asciiJson } from "../system/cim.ts";
import type { Run } from "../system/run-tool.ts";
import { NOT_SIGNED, notValid } from "./signers.ts";

/*
 * Signatures of Windows, from Get-AuthenticodeSignature, which verifies them (WinVerifyTrust). Its `Status` is a
 * name that is never translated, its `StatusMessage` is.
 */

const LIMITS = { timeoutMs: 20_000, bytesMax: 64 * 1024 };

/**
 * The path travels as Base64: PowerShell ends a quoted string at any of five quotation marks, and a file name may
 * hold them all.
 */
export const signatureScript = (path: string): string =>
  `$f=[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('${Buffer.from(path).toString("base64")}')); ` +
  "$s=Get-AuthenticodeSignature -LiteralPath $f -ErrorAction Stop; " +
  asciiJson("[pscustomobject]@{ s=[string]$s.Status; c=$s.SignerCertificate.Subject }");

export async function authenticodeSigner(
  run: Run,
  powershell: readonly string[],
  path: string,
): Promise<string | undefined> {
  return parseSignature(await run([...powershell, signatureScript(path)], LIMITS));
}

/** Organisation of the certificate, or why there is none; undefined for what is no answer about a signature. */
export function parseSignature(text: string): string | undefined {
  const row = JSON.parse(text) as { s?: unknown; c?: unknown } | null;
  if (typeof row?.s !== "string") return undefined;
  const subject = typeof row.c === "string" ? parseSubject(row.c) : new Map<string, string>();
  const name = subject.get("O") ?? subject.get("CN");
  if (row.s === "Valid") return name;
  if (row.s === "NotSigned") return NOT_SIGNED;
  return name === undefined ? undefined : notValid(name);
}

/** Parts of a distinguished name as .NET writes it: `CN="Foo, Inc.", O=Foo`, quotes doubled within quotes. */
export function parseSubject(subject: string): Map<string, string> {
  const parts = new Map<string, string>();
  for (const [, name, value] of subject.matchAll(/([A-Za-z0-9.]+)=("(?:[^"]|"")*"|[^,]*)(?:, |$)/gy)) {
    const plain = value!.startsWith('"') ? value!.slice(1, -1).replaceAll('""', '"') : value!.trim();
    if (!parts.has(name!) && plain !== "") parts.set(name!, plain);
  }
  return parts;
}
