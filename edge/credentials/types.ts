/** AWS credentials. `expiresAtMs` is absent for keys that do not expire or whose expiry is not known. */
export type Credentials = {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expiresAtMs?: number;
};

/** A source of AWS credentials. */
export type CredentialSource = {
  /** Name of the source in log lines, such as `ec2-instance-metadata`. */
  name: string;
  /** Fetches the current credentials. Rejects with {@link CredentialFault} if this fails. */
  fetch: () => Promise<Credentials>;
};

/**
 * Problem with the credentials, for `/readyz` and `lz doctor`. `not-renewed`: renewal fails, but the current
 * credentials are still valid. `away`: there are no valid credentials. `refused`: AWS refused the current
 * credentials, and there are no newer credentials.
 */
export type CredentialProblem = "not-renewed" | "away" | "refused";

/** Provides valid credentials while the process runs. */
export type CredentialProvider = {
  /** Returns the current credentials. Rejects with {@link CredentialFault} if there are no valid credentials. */
  get: () => Promise<Credentials>;
  /**
   * Returns newer credentials after AWS refused the given credentials with `code`. Undefined if there are no
   * newer credentials.
   */
  replace: (refused: Credentials, code: string) => Promise<Credentials | undefined>;
  problem: () => CredentialProblem | undefined;
};

/**
 * The credential source returned no credentials. The message names the source and the fix, and contains no
 * secret.
 */
export class CredentialFault extends Error {
  override name = "CredentialFault";
}
