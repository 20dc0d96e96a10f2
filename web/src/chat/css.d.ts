// Style sheets are bundled as text: the frame may load nothing.
declare module '*.css' {
  const text: string;
  export default text;
}
