/** Links to download the list as CSV or JSON. A download contains all pages of the filtered list. */
export const DownloadLinks = ({
  list,
  filter = {},
}: {
  list: string;
  filter?: Readonly<Record<string, string | undefined>>;
}) => {
  const set = Object.entries(filter).filter(([, value]) => value !== undefined) as [string, string][];
  const query = set.length > 0 ? `?${new URLSearchParams(set)}` : "";
  return (
    <p class="downloads">
      Download{" "}
      {(["csv", "json"] as const).map((format) => (
        <a href={`/${list}.${format}${query}`} download>
          {format.toUpperCase()}
        </a>
      ))}
    </p>
  );
};
