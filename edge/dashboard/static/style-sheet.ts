import base from "./styles/base.css" with { type: "text" };
import charts from "./styles/charts.css" with { type: "text" };
import explanation from "./styles/explanation.css" with { type: "text" };
import forms from "./styles/forms.css" with { type: "text" };
import frame from "./styles/frame.css" with { type: "text" };
import host from "./styles/host.css" with { type: "text" };
import incidents from "./styles/incidents.css" with { type: "text" };
import listTools from "./styles/list-tools.css" with { type: "text" };
import messages from "./styles/messages.css" with { type: "text" };
import overview from "./styles/overview.css" with { type: "text" };
import preferences from "./styles/preferences.css" with { type: "text" };
import print from "./styles/print.css" with { type: "text" };
import report from "./styles/report.css" with { type: "text" };
import responsive from "./styles/responsive.css" with { type: "text" };
import surfaces from "./styles/surfaces.css" with { type: "text" };
import tables from "./styles/tables.css" with { type: "text" };

/** The style sheet of all pages. The order matters: later files override earlier ones. */
export const STYLE_SHEET = [
  base,
  frame,
  surfaces,
  overview,
  incidents,
  charts,
  tables,
  forms,
  host,
  messages,
  listTools,
  report,
  explanation,
  responsive,
  print,
  preferences,
].join("\n");
