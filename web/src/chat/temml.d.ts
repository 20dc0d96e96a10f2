// Temml's sources, which the bundler can shake; the package types its built file alone.

declare module 'temml/temml.js' {
  import temml from 'temml';

  export default temml;
}
