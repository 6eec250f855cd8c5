/*
 * Package managers that install each version in its own directory. The path of the executable contains
 * package name and version, so no tool has to run.
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

/**
 * Package name and version, for example `ollama 0.12.6 (Homebrew)`. Undefined if the path is in none of these
 * directories.
 */
export function placedPackage(executable: string): string | undefined {
  for (const [pattern, manager] of PLACES) {
    const [, name, version] = pattern.exec(executable) ?? [];
    if (name && version) return `${name} ${version} (${manager})`;
  }
  return undefined;
}
