/**
 * Icons that repeat the meaning of colours, for users who cannot distinguish colours. Each icon is 16 by 16
 * units and uses the text colour.
 */
const SHAPES = {
  critical: "M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2L5.2 1Zm2 3.2v5h1.6v-5H7.2Zm0 6.3v1.6h1.6v-1.6H7.2Z",
  warning: "M8 1.2 15.4 14.5H.6L8 1.2Zm-.8 4.6v4.4h1.6V5.8H7.2Zm0 5.4v1.6h1.6v-1.6H7.2Z",
  ok: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Zm3 4.2L7.1 9.1 5 7l-1.1 1.1 3.2 3.2 5-5L11 5.2Z",
  info: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Zm-.8 5.8v5h1.6v-5H7.2Zm0-2.8v1.6h1.6V4H7.2Z",
  failed:
    "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1ZM5.9 4.8 4.8 5.9 6.9 8l-2.1 2.1 1.1 1.1L8 9.1l2.1 2.1 1.1-1.1L9.1 8l2.1-2.1-1.1-1.1L8 6.9 5.9 4.8Z",
  pending:
    "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Zm0 1.6a5.4 5.4 0 1 0 0 10.8A5.4 5.4 0 0 0 8 2.6Zm.8 1.6v3.5l2.3 2.3L10 11.1 7.2 8.3V4.2h1.6Z",
  silent:
    "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Zm0 1.6a5.4 5.4 0 1 0 0 10.8A5.4 5.4 0 0 0 8 2.6ZM4.8 7.2h6.4v1.6H4.8V7.2Z",
  absent: "M8 1a7 7 0 1 1 0 14A7 7 0 0 1 8 1Zm0 1.6a5.4 5.4 0 1 0 0 10.8A5.4 5.4 0 0 0 8 2.6Z",
  isolated:
    "M8 .8 14 3v4.4c0 3.7-2.5 6.7-6 7.8-3.5-1.1-6-4.1-6-7.8V3L8 .8Zm-2 6v4.4h4V6.8h-.6V6a1.4 1.4 0 1 0-2.8 0v.8H6Zm1.6 0V6a.4.4 0 1 1 .8 0v.8h-.8Z",
  eye: "M8 3c3.3 0 6 2.2 7.2 5-1.2 2.8-3.9 5-7.2 5S2 10.8.8 8C2 5.2 4.7 3 8 3Zm0 1.6C5.6 4.6 3.6 6 2.6 8c1 2 3 3.4 5.4 3.4s4.4-1.4 5.4-3.4c-1-2-3-3.4-5.4-3.4Zm0 1.2a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.4Z",
} as const;

export type IconName = keyof typeof SHAPES;

export const Icon = ({ name }: { name: IconName }) => (
  <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
    <path fill="currentColor" fill-rule="evenodd" d={SHAPES[name]} />
  </svg>
);
