/** The command failed, for example because a server rejected it or is missing. One line on stderr, exit code 1. */
export class Failure extends Error {
  override name = "Failure";
}

/** Wrong arguments, or a file that has the wrong content. One line on stderr, exit code 2. */
export class Misuse extends Error {
  override name = "Misuse";
}
