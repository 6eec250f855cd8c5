/** Credentials as the AWS SDK returns them. */
export type Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string | undefined };

export type Signer = (
  request: { host: string; target: string; body: string },
  credentials: Credentials,
  nowMs: number,
) => Record<string, string>;

const CONTENT_TYPE = "application/x-amz-json-1.0";
const ALGORITHM = "AWS4-HMAC-SHA256";

const sha256 = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");
const hmac = (key: string | Uint8Array, text: string): Buffer =>
  new Bun.CryptoHasher("sha256", key).update(text).digest();

/**
 * Creates a signer for POST requests of the AWS JSON protocol with Signature Version 4 (AWS General
 * Reference, "Create a signed AWS API request"). The signer returns all headers except `host`, which `fetch`
 * sets. The signing key is cached per day.
 */
export function createSigner(service: string, region: string): Signer {
  let kept: { of: string; key: Buffer } | undefined;

  function keyOf({ secretAccessKey }: Credentials, day: string): Buffer {
    const of = `${day} ${secretAccessKey}`;
    if (kept?.of !== of) {
      const dated = hmac(hmac(hmac(`AWS4${secretAccessKey}`, day), region), service);
      kept = { of, key: hmac(dated, "aws4_request") };
    }
    return kept.key;
  }

  return ({ host, target, body }, credentials, nowMs) => {
    const { accessKeyId, sessionToken } = credentials;
    const time = `${new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
    const day = time.slice(0, 8);
    const token = sessionToken === undefined ? "" : `x-amz-security-token:${sessionToken}\n`;
    const names = `content-type;host;x-amz-date;${token === "" ? "" : "x-amz-security-token;"}x-amz-target`;
    const canonical =
      `POST\n/\n\ncontent-type:${CONTENT_TYPE}\nhost:${host}\nx-amz-date:${time}\n${token}` +
      `x-amz-target:${target}\n\n${names}\n${sha256(body)}`;
    const scope = `${day}/${region}/${service}/aws4_request`;
    const toSign = `${ALGORITHM}\n${time}\n${scope}\n${sha256(canonical)}`;
    const signature = hmac(keyOf(credentials, day), toSign).toString("hex");
    return {
      "content-type": CONTENT_TYPE,
      "x-amz-date": time,
      "x-amz-target": target,
      ...(sessionToken !== undefined && { "x-amz-security-token": sessionToken }),
      authorization: `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    };
  };
}
