import { asciiJson } from "../system/cim.ts";
import type { Run } from "../system/run-tool.ts";
import { NOT_SIGNED, notValid } from "./signers.ts";

/*
 * Verifies signatures of Windows programs with Get-AuthenticodeSignature (WinVerifyTrust). The parser reads
 * `Status`, because Windows translates `StatusMessage`.
 */

const LIMITS = { timeoutMs: 20_000, bytesMax: 64 * 1024 };

/**
 * PowerShell script that prints the signature of a file. The script contains the path as Base64, because
 * PowerShell accepts five different quotation marks and a file name can contain any of them.
 */
export const signatureScript = (path: string): string =>
  `$f=[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('${Buffer.from(path).toString("base64")}')); ` +
  "$s=Get-AuthenticodeSignature -LiteralPath $f -ErrorAction Stop; " +
  asciiJson("[pscustomobject]@{ s=[string]$s.Status; c=$s.SignerCertificate.Subject }");

/** Signer of a Windows program, in the format of {@link parseSignature}. Rejects if PowerShell fails. */
export async function authenticodeSigner(
  run: Run,
  powershell: readonly string[],
  path: string,
): Promise<string | undefined> {
  return parseSignature(await run([...powershell, signatureScript(path)], LIMITS));
}

/**
 * Organisation named in the certificate, or the reason why the signer is unknown. Undefined if the text
 * contains no signature status.
 */
export function parseSignature(text: string): string | undefined {
  const row = JSON.parse(text) as { s?: unknown; c?: unknown } | null;
  if (typeof row?.s !== "string") return undefined;
  const subject = typeof row.c === "string" ? parseSubject(row.c) : new Map<string, string>();
  const name = subject.get("O") ?? subject.get("CN");
  if (row.s === "Valid") return name;
  if (row.s === "NotSigned") return NOT_SIGNED;
  return name === undefined ? undefined : notValid(name);
}

/**
 * Parses a distinguished name as formatted by .NET: `CN="Foo, Inc.", O=Foo`. A quotation mark inside a quoted
 * value is doubled.
 */
export function parseSubject(subject: string): Map<string, string> {
  const parts = new Map<string, string>();
  for (const [, name, value] of subject.matchAll(/([A-Za-z0-9.]+)=("(?:[^"]|"")*"|[^,]*)(?:, |$)/gy)) {
    const plain = value!.startsWith('"') ? value!.slice(1, -1).replaceAll('""', '"') : value!.trim();
    if (!parts.has(name!) && plain !== "") parts.set(name!, plain);
  }
  return parts;
}
