/**
 * Error of a command that failed, for example because a server rejected the request or is missing. The
 * command prints one line on stderr and exits with code 1.
 */
export class Failure extends Error {
  override name = "Failure";
}

/**
 * Error for wrong arguments, or for a file with the wrong content. The command prints one line on stderr and
 * exits with code 2.
 */
export class Misuse extends Error {
  override name = "Misuse";
}
