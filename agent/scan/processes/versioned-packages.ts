/*
 * Package managers that give every version of a program a directory of its own: the path of the executable says which
 * package it came with, and nobody has to be asked.
 */

const PLACES: readonly [pattern: RegExp, manager: string][] = [
  // docs.brew.sh/Formula-Cookbook: PREFIX/Cellar/NAME/VERSION, on macOS and Linux.
  [
    /^(?:\/opt\/homebrew|\/usr\/local|\/home\/linuxbrew\/\.linuxbrew)\/Cellar\/([^/]+)\/([^/]+)\//,
    "Homebrew",
  ],
  // learn.microsoft.com/windows/apps/desktop/modernize/package-identity-overview: Name_Version_Architecture_ResourceId_PublisherId.
  [/^[A-Z]:\\Program Files\\WindowsApps\\([A-Za-z0-9.-]+)_([0-9.]+)_[^\\_]*_[^\\_]*_[a-z0-9]{13}\\/i, "MSIX"],
];

/** `ollama 0.12.6 (Homebrew)`, or undefined for a program that lies in no such place. */
export function placedPackage(executable: string): string | undefined {
  for (const [pattern, manager] of PLACES) {
    const [, name, version] = pattern.exec(executable) ?? [];
    if (name && version) return `${name} ${version} (${manager})`;
  }
  return undefined;
}
