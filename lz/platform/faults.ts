/** Something outside said no or is not there: one line on stderr, exit code 1. */
export class Failure extends Error {
  override name = "Failure";
}

/** The command line cannot mean anything, or names a file that is none of what it must be: one line on stderr, exit code 2. */
export class Misuse extends Error {
  override name = "Misuse";
}
