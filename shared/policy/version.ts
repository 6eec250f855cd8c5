/**
 * Compares versions part by part: `0.9.1` is before `0.10`, `b3561` (llama.cpp's builds) before `b4000`, and a
 * pre-release (`0.11.1rc2`, `0.12.0-rc1`) before its release. What follows a `+` is ignored. Undefined when one of
 * them is no version at all or only zeros, or one counts builds (`b3561`) and the other has parts: what cannot be compared is not judged.
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
/** Built out of an archive or a shallow clone llama.cpp has counted to 0 or 1, `b1-9f2a1b3`: that tells nothing. */
const BUILD_MIN = 2;

/** `0.0.0` is what a program says that was built without its version: distributions build Ollama so. */
const isPlaceholder = (numbers: readonly number[]): boolean => numbers.every((number) => number === 0);

function parse(version: string): { numbers: number[]; isBuild: boolean; isPreRelease: boolean } | undefined {
  const found = /^([vb]?)(\d{1,9}(?:\.\d{1,9}){0,5})(.*)$/i.exec(version.trim());
  if (!found) return undefined;
  const [, prefix, dotted, more] = found;
  const rest = more!.split("+")[0]!;
  const numbers = dotted!.split(".").map(Number);
  const isBuild = prefix!.toLowerCase() === "b";
  const isPreRelease = PRE_RELEASE.test(rest);
  // `5f3a2b1` is a commit, and no version 5.
  if (/^[a-z\d]/i.test(rest) && !isPreRelease && !POST_RELEASE.test(rest)) return undefined;
  if (isBuild && numbers[0]! < BUILD_MIN) return undefined;
  return isPlaceholder(numbers) ? undefined : { numbers, isBuild, isPreRelease };
}
