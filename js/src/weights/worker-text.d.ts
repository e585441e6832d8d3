/** `build.mjs` bundles what is imported with `?worker` by itself and gives its text. */
declare module "*?worker" {
  const source: string;
  export default source;
}
