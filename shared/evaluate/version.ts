/**
 * Compares versions part by part: `0.9.1` is before `0.10`, `b3561` (llama.cpp's builds) before `b4000`, and a
 * pre-release (`0.11.1rc2`, `0.12.0-rc1`) before its release. What follows a `+` is ignored. Undefined when one of
 * them is no version at all: what cannot be compared is not judged.
 */
export function compareVersions(a: string, b: string): number | undefined {
  const [left, right] = [parse(a), parse(b)];
  if (!left || !right) return undefined;
  for (let i = 0; i < Math.max(left.numbers.length, right.numbers.length); i++) {
    const difference = (left.numbers[i] ?? 0) - (right.numbers[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return Number(right.isPreRelease) - Number(left.isPreRelease);
}

function parse(version: string): { numbers: number[]; isPreRelease: boolean } | undefined {
  const found = /^[vb]?(\d{1,9}(?:\.\d{1,9}){0,5})(.*)$/i.exec(version.trim());
  if (!found) return undefined;
  const rest = found[2]!.split("+")[0]!;
  return {
    numbers: found[1]!.split(".").map(Number),
    isPreRelease: /^[-.]?(rc|alpha|beta|dev|pre|a\d|b\d)/i.test(rest),
  };
}
