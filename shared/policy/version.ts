/**
 * Compares two versions part by part. `0.9.1` is before `0.10`, `b3561` (build number of llama.cpp) is before
 * `b4000`, and a pre-release (`0.11.1rc2`, `0.12.0-rc1`) is before its release. Text after `+` is ignored.
 *
 * @returns a negative number, 0 or a positive number. Undefined if a version is invalid or has only zeros, or
 * if only one of the two is a build number.
 */
export function compareVersions(a: string, b: string): number | undefined {
  const [left, right] = [parse(a), parse(b)];
  if (!left || !right) return undefined;
  const isMixed = left.isBuild !== right.isBuild && left.numbers.length + right.numbers.length > 2;
  if (isMixed) return undefined;
  for (let i = 0; i < Math.max(left.numbers.length, right.numbers.length); i++) {
    const difference = (left.numbers[i] ?? 0) - (right.numbers[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return Number(right.isPreRelease) - Number(left.isPreRelease);
}

const PRE_RELEASE = /^[-.]?(rc|alpha|beta|dev|pre|preview|a|b)[-.]?\d*(?![a-z\d])/i;
const POST_RELEASE = /^post\d/i;
/**
 * Minimum build number that identifies a version. llama.cpp built from an archive or a shallow clone has
 * build 0 or 1 (`b1-9f2a1b3`).
 */
const BUILD_MIN = 2;

/**
 * True for `0.0.0`. Programs that were built without their version report it, for example Ollama in Linux
 * distributions.
 */
const isPlaceholder = (numbers: readonly number[]): boolean => numbers.every((number) => number === 0);

function parse(version: string): { numbers: number[]; isBuild: boolean; isPreRelease: boolean } | undefined {
  const found = /^([vb]?)(\d{1,9}(?:\.\d{1,9}){0,5})(.*)$/i.exec(version.trim());
  if (!found) return undefined;
  const [, prefix, dotted, more] = found;
  const rest = more!.split("+")[0]!;
  const numbers = dotted!.split(".").map(Number);
  const isBuild = prefix!.toLowerCase() === "b";
  const isPreRelease = PRE_RELEASE.test(rest);
  // `5f3a2b1` is a commit hash, not version 5.
  if (/^[a-z\d]/i.test(rest) && !isPreRelease && !POST_RELEASE.test(rest)) return undefined;
  if (isBuild && numbers[0]! < BUILD_MIN) return undefined;
  return isPlaceholder(numbers) ? undefined : { numbers, isBuild, isPreRelease };
}
