/** A browser of one user. `root`: the user data directory of Chromium, or the profiles directory of Firefox. */
export type Browser = { name: string; family: "chromium" | "firefox"; root: string };

type Place = readonly [name: string, family: Browser["family"], directory: string];

/*
 * Sources: docs/user_data_dir.md of chromium/src, and toolkit/xre/nsXREDirProvider.cpp of mozilla/gecko-dev.
 * A snap or flatpak has the same directories inside its own data directory.
 */
const PLACES: readonly Place[] = [
  ["Chrome", "chromium", ".config/google-chrome"],
  ["Chrome Beta", "chromium", ".config/google-chrome-beta"],
  ["Chrome Dev", "chromium", ".config/google-chrome-unstable"],
  ["Chromium", "chromium", ".config/chromium"],
  ["Edge", "chromium", ".config/microsoft-edge"],
  ["Edge Beta", "chromium", ".config/microsoft-edge-beta"],
  ["Edge Dev", "chromium", ".config/microsoft-edge-dev"],
  ["Brave", "chromium", ".config/BraveSoftware/Brave-Browser"],
  ["Vivaldi", "chromium", ".config/vivaldi"],
  ["Opera", "chromium", ".config/opera"],
  ["Chromium", "chromium", "snap/chromium/common/chromium"],
  ["Chrome", "chromium", ".var/app/com.google.Chrome/config/google-chrome"],
  ["Chromium", "chromium", ".var/app/org.chromium.Chromium/config/chromium"],
  ["Edge", "chromium", ".var/app/com.microsoft.Edge/config/microsoft-edge"],
  ["Brave", "chromium", ".var/app/com.brave.Browser/config/BraveSoftware/Brave-Browser"],
  ["Firefox", "firefox", ".mozilla/firefox"],
  ["Firefox", "firefox", ".config/mozilla/firefox"],
  ["Firefox", "firefox", "snap/firefox/common/.mozilla/firefox"],
  ["Firefox", "firefox", ".var/app/org.mozilla.firefox/.mozilla/firefox"],
  ["Chrome", "chromium", "Library/Application Support/Google/Chrome"],
  ["Chrome Beta", "chromium", "Library/Application Support/Google/Chrome Beta"],
  ["Chrome Canary", "chromium", "Library/Application Support/Google/Chrome Canary"],
  ["Chromium", "chromium", "Library/Application Support/Chromium"],
  ["Edge", "chromium", "Library/Application Support/Microsoft Edge"],
  ["Brave", "chromium", "Library/Application Support/BraveSoftware/Brave-Browser"],
  ["Vivaldi", "chromium", "Library/Application Support/Vivaldi"],
  ["Firefox", "firefox", "Library/Application Support/Firefox/Profiles"],
  ["Chrome", "chromium", "AppData/Local/Google/Chrome/User Data"],
  ["Chrome Beta", "chromium", "AppData/Local/Google/Chrome Beta/User Data"],
  ["Chrome Canary", "chromium", "AppData/Local/Google/Chrome SxS/User Data"],
  ["Chromium", "chromium", "AppData/Local/Chromium/User Data"],
  ["Edge", "chromium", "AppData/Local/Microsoft/Edge/User Data"],
  ["Edge Beta", "chromium", "AppData/Local/Microsoft/Edge Beta/User Data"],
  ["Edge Dev", "chromium", "AppData/Local/Microsoft/Edge Dev/User Data"],
  ["Brave", "chromium", "AppData/Local/BraveSoftware/Brave-Browser/User Data"],
  ["Vivaldi", "chromium", "AppData/Local/Vivaldi/User Data"],
  ["Firefox", "firefox", "AppData/Roaming/Mozilla/Firefox/Profiles"],
];

/** Directories in one home directory where browsers store page data. The directories may not exist. */
export const browsersIn = (home: string): Browser[] =>
  PLACES.map(([name, family, directory]) => ({ name, family, root: `${home}/${directory}` }));
