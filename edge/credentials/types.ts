/** `expiresAtMs`: undefined for keys that do not expire, or whose end is not known. */
export type Credentials = {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expiresAtMs?: number;
};

/** One place that AWS credentials come from. */
export type CredentialSource = {
  /** For log lines: `ec2-instance-metadata`. */
  name: string;
  /** Fetches the present credentials. Rejects with {@link CredentialFault}. */
  fetch: () => Promise<Credentials>;
};

/**
 * What is wrong with the credentials, for `/readyz` and `lz doctor`. `not-renewed`: the old ones still work.
 * `away`: there are none. `refused`: AWS refused the present ones and there are no newer ones.
 */
export type CredentialProblem = "not-renewed" | "away" | "refused";

/** Credentials that stay valid while the process runs. */
export type CredentialProvider = {
  /** Present credentials. Rejects with {@link CredentialFault} when there are none that are valid. */
  get: () => Promise<Credentials>;
  /** Newer credentials than those that AWS has just refused with `code`; undefined when there are none. */
  replace: (refused: Credentials, code: string) => Promise<Credentials | undefined>;
  problem: () => CredentialProblem | undefined;
};

/** A source gave no credentials. The message names the source and the fix, and holds no secret. */
export class CredentialFault extends Error {
  override name = "CredentialFault";
}
